// Package study is the approved project under which researchers ask: a document, the person who proposed it, and each
// hospital's decisions about it.
//
// # The life of a study
//
//	            approve                suspend
//	proposed ───────────> approved ───────────> suspended
//	                      amended  <───────────
//	                          │   resume, approve   │
//	                          └────────> ended <────┘
//
// The operator proposes a Document. At each hospital the custodian approves it as it is, or a narrower one (amended),
// and may narrow, suspend or end it at any time. A suspended study is resumed with the terms that it had, or approved
// again as it is proposed. At the coordinator a proposal takes effect at once, and the operator suspends and ends. A
// later version of a proposal changes nothing at a hospital until its custodian approves it.
//
// # Records
//
// Each of these acts is a Record, signed with the Ed25519 key of the person who did it, and kept in the ledger of the
// daemon that it concerns. The daemon's configuration says who may sign. A record names its federation and hospital,
// and acts at one place are numbered. So a record cannot be used elsewhere or again: an old approval does not open a
// study that was suspended later.
//
// # Several custodians
//
// Where Place.Required is more than 1, an approval or a resumption opens nothing until so many custodians have signed
// the same. The first record is kept as Study.Pending. Each further one must have the next number, the same act and the
// same document, and must be signed with another key. Any other act in between makes the signing begin again. To
// narrow, suspend or end always takes one signature, because these acts open nothing. An approval and a resumption
// reset the count of failures; a narrowing does not. If the policy then requires more signatures than opened a study,
// the study is suspended until others sign that it is resumed.
//
// # Failures
//
// Whether a query fails may tell something of one patient, without noise. A Registry at a hospital counts the queries
// that failed after their charge since a study's last approval or resumption. It suspends the study at the last allowed
// failure (Begin, Fail, Settle). The next approval or resumption starts the count again.
//
// Contract: a study is open only if records in the ledger open it, signed with as many of the keys configured now as
// are required now. Between two approvals no more failures are counted than are allowed, whatever runs at the same time
// and whenever the daemon stops. A Registry is the sum of the records, whether they come from the ledger or arrive.
// They arrive in a folder (Registry.Collect), so that a custodian can sign on another machine.
package study
