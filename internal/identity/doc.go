// Package identity tells who bears a token.
//
// A token is a JSON Web Token (RFC 7519) that an identity provider has signed:
// a hospital group's Keycloak, Pro Santé Connect, or, for local accounts, the
// coordinator. The researcher shows it to the coordinator, and the coordinator
// forwards it to every node, which checks the signature itself: who controls the
// coordinator cannot speak for a researcher of another provider.
//
// Contract: Verifier.Verify believes a token only if a configured provider signed
// it, by a key of its own and with EdDSA, ES256 or RS256; if it is for our
// audience; if it is within its time, give or take Skew; and if it lives no longer
// than MaxLife. Keys are pinned in a file, or fetched from the provider by
// discovery. Fetched keys are read again every hour, at once for a key that is not
// known, so that rotation needs no restart; and never more often than every ten
// seconds, so that forged tokens cannot make us flood the provider.
//
// A provider's names never meet another's: each but one adds a suffix of its own.
//
// A local account's token can also be proved without being shown, by SCRAM-SHA-256: Book,
// Challenge. Who is nobody is asked as everybody is, and refused in the same words.
//
// What it does not cover: a token is a bearer token. Who has it, a coordinator
// included, can ask in its bearer's name until it expires, within what the nodes
// allow that name. Short lives are the remedy.
package identity
