// Package console is the custodian's page at a hospital's node. It shows studies that wait for a decision, what was
// asked and by whom, the SQL that ran, what left, and the remaining budgets. The custodian can stop everything and
// check the ledger.
//
// Contract: the page opens nothing that the custodian has not signed. Decisions about studies are records signed with
// the custodian's own key. The page uses the key in the browser and never sends it. The node checks the signature as
// for any other record. Only the stop needs no key, because it closes. The page shows what the ledger holds, which has
// no private values.
//
// The page is reachable from the same machine or by HTTPS (see node.Console), with the token of the configuration or a
// sign-in.
//
//	GET  /v1/standing  how the node stands, its studies and budgets
//	GET  /v1/entries   the ledger, newest first: ?before=SEQUENCE&kind=KIND&study=ID
//	GET  /v1/verify    the ledger's chain, checked now
//	POST /v1/hold      {on, reason}: stops the hospital, or lets it answer again
//	POST /v1/draft     a decision: the record to sign, and the bytes that its signature is of
//	POST /v1/records   a signed record
package console
