// Package membership knows which daemons of a federation are alive, by gossip
// (SWIM, through hashicorp/memberlist) and without a central registry.
//
// Contract: a member announces its role and name, its Flight address, a digest
// of its catalog, the version of its data and the versions of requests that it reads, and nothing else. Nothing that
// depends on a row of a table may ever be put there: gossip reaches every
// daemon and carries no noise. Messages are encrypted and authenticated
// (AES-256-GCM) with a key that all daemons of the federation share, and are
// bound to the federation's name, so that two federations on one network stay
// apart.
//
// Gossip is a hint, not a proof. Whoever has the shared key can announce
// anything, so an address found here is only where to look: who answers there
// is settled by package pki, and what may be asked by the node's own policy.
//
// A member that leaves is gone at once. One that dies without a word is gone
// after some seconds (by memberlist's formula about 6 among three members, about
// 12 among two hundred; longer while the machine that looks is overloaded). A
// member that cannot be understood, because its metadata is malformed or of a
// later version, is not listed.
package membership
