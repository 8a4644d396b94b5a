// Package study is the approved project under which researchers ask: a document,
// who proposed it, and what each hospital decided about it.
//
// # The life of a study
//
//	            approve                suspend
//	proposed ───────────> approved ───────────> suspended
//	                      amended  <───────────
//	                          │      approve        │
//	                          └────────> ended <────┘
//
// The operator proposes a Document. At each hospital the custodian approves it as it
// stands, or a narrower one (amended), and may suspend or end it at any time. At the
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
// # Failures
//
// Whether a query fails may tell of one patient, without noise. A Registry at a hospital
// counts the queries that failed after they were charged since a study's last approval,
// and suspends the study with the last that is allowed (Begin, Fail, Settle); the next
// approval begins anew.
//
// Contract: nothing is open that a record in the ledger, signed by a key that is
// configured now, does not open; and between two approvals no more failures are counted
// than are allowed, whatever runs at once and whenever the daemon dies. A Registry is what the records add up to, whether they
// come from the ledger or arrive; where they arrive is a folder (Registry.Collect), so
// that a custodian can sign on another machine.
package study
