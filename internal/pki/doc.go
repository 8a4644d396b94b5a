// Package pki is the federation's certificate authority and the mutual TLS
// that rests on it.
//
// Every party of a federation has a certificate from the federation's own
// authority. Who it is stands in one URI SAN,
//
//	intramuros://<federation>/<role>/<name>
//
// and nothing else counts: neither the subject nor the host name. A server
// states the roles that it admits (ServerTLS), a client states the one peer
// that it means (ClientTLS). So a node that moves to another address keeps its
// identity, and no node can pose as another one, or as the coordinator.
//
// Contract: TLS 1.3 only; both sides verify the whole chain, the validity
// period, the extended key usage and the identity, on every connection and
// without session resumption. Certificates and keys are read again when their
// files change, so a renewal needs no restart; a renewal that is broken or
// names somebody else is ignored while the certificate in use is valid. A server shows its certificate even
// when its time is over, so that the other side, who refuses it, can say why. The
// authority's certificate is read once: replacing the authority needs a
// restart. Certificates are revoked by the authority's list crl.pem beside ca.pem,
// which is read again when it changes; a server should check again, by its
// configuration's VerifyConnection, what it is asked over a connection that is open.
//
// Signing keys are apart from certificates: with them people sign studies, and
// daemons tokens and checkpoints.
package pki
