// Package seal masks the vectors that hospitals have covered with their noise, so that a coordinator learns their sum
// and nothing else of them. It is pure: no network, no clock, no files.
//
// # How
//
// Each hospital makes a fresh X25519 key for each execution, signs it with the Ed25519 key of its ledger, which the
// other hospitals' custodians have pinned, and tells it when it has computed. The coordinator then names the members:
// those that are done. Each pair of members has a secret, and from it and the session a mask, a stream of numbers
// modulo 2^64; the first by name adds it, the second subtracts it. The masks of all members add up to zero:
//
//	session  = SHA-256(prefix, federation, study, query, digest of the request, members by name with their keys)
//	mask_ij  = AES-256-CTR(HKDF-SHA-256(X25519(key_i, key_j), salt session, info the names i, j)),
//	           as little-endian uint64
//	sent_i   = covered_i + sum_{j after i} mask_ij - sum_{j before i} mask_ij   (modulo 2^64)
//
// # What holds
//
// To who lacks the secrets of two honest members, each of their vectors is uniform, and their sum over all honest
// members of one session is all that the vectors tell together: the masks between honest members are independent of
// everything else and connect each with each. So it does not matter whom the coordinator tells what. Members that are
// told of different members, requests, queries or keys have different sessions, and their masks do not cancel: what is
// added up is uniform. If an honest member of a session sends nothing, the sum of the others is uniform. A key is used
// in one session, once, and is forgotten: nothing is there to be replayed, and who breaks into a hospital later opens
// no old transcript.
//
// What the masks give is accuracy: the hospitals that rely on each other's noise add less of it (dp/doc.go, "Shares").
// If they break, each vector is still covered by its own share.
package seal
