// Package flightsql is the coordinator's front door for Arrow Flight SQL clients:
// ADBC, the Flight SQL JDBC driver. It only translates; what may be asked, and what
// is released, is settled in package coordinator.
//
// Who asks. A bearer token on every call, or a handshake with user name and token,
// after which the client sends the token itself. TLS always.
//
// When a query runs. GetFlightInfo and CreatePreparedStatement plan only: they give
// the schema of the answer and its price, and cost nothing. DoGet runs the query. A
// ticket runs at most once: read again within ticketLife it gives the same answer, or
// the same error, at no cost, whatever has become of the data meanwhile; read after
// that, it is unknown. A ticket is its researcher's alone.
//
// Settings come as headers of the call (package session lists them): study, epsilon,
// intervals and so on. ADBC has them as call headers, JDBC as properties of the URL.
//
// What an answer says beside its rows stands in the metadata of the schema that DoGet
// streams, and its price in that of GetFlightInfo's; package tabular lists the keys.
//
// Transactions are accepted and mean nothing, since nothing here is ever written.
package flightsql
