// Package pki is the federation's certificate authority, and the mutual TLS that is based on it.
//
// Every party of a federation has a certificate from the federation's own authority. Its identity is one URI SAN,
//
//	intramuros://<federation>/<role>/<name>
//
// and nothing else counts: neither the subject nor the host name. A server names the roles that it admits (ServerTLS),
// and a client names the one peer that it means (ClientTLS). So a node that moves to another address keeps its
// identity, and no node can pose as another one or as the coordinator.
//
// Contract: TLS 1.3 only. Both sides verify the whole chain, the validity period, the extended key usage and the
// identity, on every connection and without session resumption. Certificates and keys are read again when their files
// change, so a renewal needs no restart. A renewal that is broken or names somebody else is ignored while the
// certificate in use is valid. A server shows its certificate even after it has expired, so that the refusing client
// can say why. The authority's certificate is read once: replacing the authority needs a restart. Certificates are
// revoked by the authority's list crl.pem beside ca.pem, which is read again when it changes. A server should also call
// its configuration's VerifyConnection for requests over a connection that is already open.
//
// Signing keys are separate from certificates. People sign studies with them, and daemons sign tokens and checkpoints.
package pki
