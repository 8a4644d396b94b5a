// Package identity authenticates the bearer of a token.
//
// A token is a JSON Web Token (RFC 7519) that an identity provider has signed: a hospital group's Keycloak, Pro Santé
// Connect, or, for local accounts, the coordinator. The researcher sends it to the coordinator, and the coordinator
// forwards it to every node. Each node checks the signature itself, so control of the coordinator is not enough to
// speak for a researcher of another provider.
//
// Contract: Verifier.Verify accepts a token only under four conditions. A configured provider signed it, with a key of
// its own and with EdDSA, ES256 or RS256. It is for our audience. It is valid now, within Skew. And it lives no longer
// than MaxLife. Keys are pinned in a file, or fetched from the provider by discovery. Fetched keys are read again every
// hour, and at once for an unknown key, so that a rotation needs no restart. They are never fetched more often than
// every ten seconds, so that forged tokens cannot make us flood the provider.
//
// Names of different providers never collide: every provider except one adds a suffix of its own.
//
// A local account's token can also be proved without being shown, by SCRAM-SHA-256: Book, Challenge. An unknown name
// gets the same questions, and is refused in the same words.
//
// What it does not cover: a token is a bearer token. Anybody who has it, a coordinator included, can ask in the
// bearer's name until it expires, within what the nodes allow for that name. Short lives are the remedy.
package identity
