// Package seal masks the vectors to which hospitals have added their noise, so that a coordinator learns their sum and
// nothing else of them. It is pure: no network, no clock, no files.
//
// # How
//
// Each hospital makes a fresh X25519 key for each execution, signs it with the Ed25519 key of its ledger, which the
// other hospitals' custodians have pinned, and sends it when it has finished computing. The coordinator then names the
// members: the hospitals that have finished. Each pair of members has a secret. From it and the session they derive a
// mask, a stream of numbers modulo 2^64. The member that is first by name adds it, and the other one subtracts it. The
// masks of all members add up to zero:
//
//	session  = SHA-256(prefix, federation, study, query, digest of the request, members by name with their keys)
//	mask_ij  = AES-256-CTR(HKDF-SHA-256(X25519(key_i, key_j), salt session, info the names i, j)),
//	           as little-endian uint64
//	sent_i   = covered_i + sum_{j after i} mask_ij - sum_{j before i} mask_ij   (modulo 2^64)
//
// # What holds
//
// Consider a party that lacks the secrets of two or more honest members. To it, each of their vectors is uniform, and
// together the vectors tell only their sum over all honest members of one session: the masks between honest members are
// independent of everything else and connect each pair. So it does not matter what the coordinator tells to whom.
// Members that were told different members, requests, queries or keys have different sessions. Their masks do not
// cancel, and the sum is uniform. If an honest member of a session sends nothing, the sum of the others is uniform. A
// key is used in one session, once, and is then forgotten. So nothing can be replayed, and somebody who breaks into a
// hospital later cannot read an old transcript.
//
// The masks give accuracy: hospitals that rely on each other's noise add less of it (dp/doc.go, "Shares"). If the masks
// break, each vector is still protected by its own share.
package seal
