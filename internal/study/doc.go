// Package study is the approved project under which researchers ask: a document,
// who proposed it, and what each hospital decided about it.
//
// # The life of a study
//
//	            approve                suspend
//	proposed ───────────> approved ───────────> suspended
//	                      amended  <───────────
//	                          │   resume, approve   │
//	                          └────────> ended <────┘
//
// The operator proposes a Document. At each hospital the custodian approves it as it
// stands, or a narrower one (amended), and may narrow, suspend or end it at any time. A study
// that is suspended is resumed as it held, or approved again as it is proposed. At the
// coordinator a proposal holds at once, and the operator suspends and ends. A later
// version of a proposal changes nothing at a hospital until its custodian approves it.
//
// # Records
//
// Each of these acts is a Record, signed with the Ed25519 key of the person who did it,
// and kept in the ledger of the daemon that it concerns. Who may sign is in the daemon's
// configuration. A record names its federation and hospital, and acts at one place are
// numbered, so that none can be used elsewhere or again: an old approval does not open
// what was suspended since.
//
// # Several custodians
//
// Where Place.Required is more than 1, an approval or a resumption opens nothing before so many
// custodians have signed the same: the first record is kept as Study.Pending, and each further one must be of
// the next number, of the same act and document, and signed by another key. Any act between begins anew. To
// narrow, to suspend and to end take one signature always, since they open nothing. A narrowing
// counts no failure away; an approval and a resumption do. Where the policy is changed to more signatures than
// opened a study, it is suspended until others sign that it is resumed.
//
// # Failures
//
// Whether a query fails may tell of one patient, without noise. A Registry at a hospital
// counts the queries that failed after they were charged since a study's last approval or resumption,
// and suspends the study with the last that is allowed (Begin, Fail, Settle); the next
// one begins anew.
//
// Contract: nothing is open that records in the ledger, signed by as many keys that are
// configured now as are required now, do not open; and between two approvals no more failures are
// counted than are allowed, whatever runs at once and whenever the daemon dies. A Registry is what the
// records add up to, whether they come from the ledger or arrive; where they arrive is a folder
// (Registry.Collect), so that a custodian can sign on another machine.
package study
