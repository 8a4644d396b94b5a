// Package ledger is the durable record of privacy loss and of everything that left a machine. Each node keeps one, and
// so does the coordinator.
//
// # The life of a loss
//
//	Reserve ──> Charge    the fragment may run now; the loss stays for ever
//	   │
//	   └──────> Abandon   unused: given back, expired, or open when the ledger stopped
//
// The order is the contract: reserve, charge, and only then execute. A reservation is in memory. It counts against
// every cap from Reserve on, so that two queries never share what is left for one. Charge records the reservation
// together with the charge, and returns after both are on the disk (SQLite's write-ahead log, synchronous=FULL). So a
// crash may lose an answer, but never a charge. Nothing executes before its charge, so a reservation that a crash
// forgets was never executed. A reservation that is given back leaves no trace in the file, however often anybody asks:
// what costs nothing writes nothing. (Earlier versions recorded reservations by themselves; Open abandons those that
// such a ledger has left open.) After a failed write, recorded ≥ acknowledged holds: what was acknowledged is there,
// and what was not acknowledged may be there. If the ledger cannot tell, it stops (ErrStopped) until it is opened
// again.
//
// # The file
//
// A ledger is one SQLite file, which any sqlite3 tool from version 3.37 can open:
//
//	sqlite3 -readonly node.ledger "SELECT time, researcher, text FROM entries WHERE kind = 'charge'"
//
// While the daemon runs, the newest entries may still be in the file's "-wal" companion. Copy both, or use sqlite3's
// .backup. The empty ".lock" companion keeps a second daemon out.
//
// # What the chain proves, and what it does not
//
// Every entry has the SHA-256 of all its fields and of the entry before it. The first one starts from the owner's name.
// One field is 128 random bits: peers see hashes, and without these bits a hash could confirm a guess of the entry.
// Entries of versions before format 3 have no such field. Verify, which Open runs too, finds an entry that was changed,
// removed, moved or added, unless everything after it was recomputed. It also finds a charge without a reservation
// before it, a schema without its guards (append-only triggers), and, through the head row, entries cut off at the end.
//
// The chain has no key. A person who may write the file can recompute the chain from any entry on, cut off its end
// together with the head row, put back an old copy, or delete the file, and nothing inside the file shows it. A copy of
// Head kept elsewhere does show it: noted by the custodian, or in the other daemon's ledger. An entry's hash never
// changes, so one noted hash vouches for every entry up to it.
//
// The answers table is outside the chain. It holds released answers, which cost nothing to repeat.
package ledger
