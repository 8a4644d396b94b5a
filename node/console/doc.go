// Package console is the custodian's page at a hospital's node: studies that wait for a
// decision, what was asked and by whom, the SQL that ran, what left, what is left to
// spend, a stop for everything, and the check of the ledger.
//
// Contract: it opens nothing that the custodian has not signed. Decisions about studies are
// records signed with the custodian's own key, which the page uses in the browser and never
// sends; the node checks the signature as for any other record. Only the stop needs no key:
// it closes. What is shown is what the ledger holds, which has no private values.
//
// The page is for one machine, or for HTTPS (see node.Console), and for the bearer of the
// token in the configuration.
//
//	GET  /v1/standing  how the node stands, its studies and budgets
//	GET  /v1/entries   the ledger, newest first: ?before=SEQUENCE&kind=KIND&study=ID
//	GET  /v1/verify    the ledger's chain, checked now
//	POST /v1/hold      {on, reason}: stops the hospital, or lets it answer again
//	POST /v1/draft     a decision: the record to sign, and the bytes that its signature is of
//	POST /v1/records   a signed record
package console
