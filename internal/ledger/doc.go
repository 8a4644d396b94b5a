// Package ledger is the durable record of privacy loss and of all that ever left a machine. Each
// node keeps one, and so does the coordinator.
//
// # The life of a loss
//
//	Reserve ──> Charge    the fragment may run now; the loss stays for ever
//	   │
//	   └──────> Abandon   given back unused, run out, or open when the ledger stopped
//
// The order is the contract: reserve, charge, and only then execute. A reservation is in memory and
// counts against every cap from Reserve on, so that two never share what is left for one. Charge
// records it together with the charge, and returns after both are on the disk (SQLite's write-ahead
// log, synchronous=FULL), so a crash may lose an answer, never a charge. As nothing executes before
// its charge, a reservation that a crash forgets was never executed. What is given back leaves no
// trace in the file, whoever asks how often: what costs nothing writes nothing. (Earlier versions
// recorded reservations by themselves; Open abandons those that such a ledger has left open.) A write
// that fails leaves recorded ≥ acknowledged: what was acknowledged is there, what was not
// acknowledged may be. When the ledger cannot tell, it stops (ErrStopped) until it is opened again.
//
// # The file
//
// One SQLite file, which any sqlite3 tool from version 3.37 opens:
//
//	sqlite3 -readonly node.ledger "SELECT time, researcher, text FROM entries WHERE kind = 'charge'"
//
// While the daemon runs, the newest entries may still be in the file's "-wal" companion; copy both,
// or use sqlite3's .backup. The empty ".lock" companion keeps a second daemon out.
//
// # What the chain proves, and what it does not
//
// Every entry holds the SHA-256 of all its fields and of the entry before it, starting from the
// owner's name. One field is 128 random bits, so that a hash, which peers are shown, does not confirm a guess of
// what an entry says; entries that versions before format 3 wrote have no such field. Verify, which Open runs too,
// finds an entry that was changed, removed, moved or added by someone who did not recompute everything after it;
// charges that no reservation precedes; a schema whose guards (append-only triggers) are gone; and, through the head
// row, entries cut off at the end.
//
// The chain has no key. Who may write the file can recompute the chain from any entry on, cut off
// its end together with the head row, put back an old copy, or delete the file, and nothing inside
// the file shows it. What does show it is a copy of Head kept elsewhere: noted by the custodian, or
// in the other daemon's ledger. An entry's hash never changes, so that one noted hash vouches for
// every entry up to it.
//
// The answers table is outside the chain: it holds released answers, which cost nothing to repeat.
package ledger
