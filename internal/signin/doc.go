// Package signin lets people sign in to a console at an identity provider with their browser: OpenID Connect's
// authorization code flow with PKCE, state and nonce.
//
// Contract: the browser never holds a token. It holds a cookie, which no script can read and no other site can send.
// The cookie stands for the ID token that this package keeps in memory and renews. A request of the console with the
// cookie goes on to the API as the same request with that token, under the API's own rules. A request that brings a
// token is left unchanged. So this package admits nobody: the API, and each hospital that a question reaches, verify
// the token as any other.
//
// Paths, below the console's address:
//
//	GET    /signin                  the providers, and whether this browser is signed in
//	GET    /signin/{provider}       to the provider
//	GET    /signin/{provider}/back  from the provider, with a code; its redirect URI
//	DELETE /signin                  sign out here; the provider's own session stays
//
// Between the second and the third request, a login needs one random secret, in a cookie of ten minutes. State, nonce
// and PKCE's verifier are derived from it. So an unfinished login leaves nothing here. Sessions are lost when the
// daemon restarts.
//
// Sources: OpenID Connect Core 1.0, sections 3.1 and 12; RFC 7636 (PKCE); RFC 9207 (issuer in the
// answer); RFC 9700 (current practice); RFC 6265bis for __Host- cookies and SameSite.
package signin
