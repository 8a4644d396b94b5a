// Package membership knows which daemons of a federation are alive, by gossip (SWIM, through hashicorp/memberlist) and
// without a central registry.
//
// Contract: a member announces its role and name, its Flight address, a digest of its catalog, the version of its data
// and the versions of requests that it reads, and nothing else. Nothing that depends on a row of a table may ever be
// announced: gossip reaches every daemon and carries no noise. Messages are encrypted and authenticated (AES-256-GCM)
// with a key that all daemons of the federation share. They are bound to the federation's name, so that two federations
// on one network stay separate.
//
// Gossip is a hint, not a proof. Anybody with the shared key can announce anything, so an address from here only says
// where to look. Package pki authenticates the peer there, and the node's own policy says what it may be asked.
//
// A member that leaves is gone at once. A member that dies silently is gone after some seconds (by memberlist's formula
// about 6 among three members, and about 12 among two hundred; longer while the observing machine is overloaded). A
// member with malformed metadata, or metadata of a later version, is not listed.
package membership
