// Package flightsql is the coordinator's front door for Arrow Flight SQL clients: ADBC and the Flight SQL JDBC driver.
// It only translates. Package coordinator decides what may be asked and what is released.
//
// Who asks: a client sends a bearer token with every call. Or it sends user name and token in a handshake, and the
// token itself afterwards. TLS is always required.
//
// When a query runs: GetFlightInfo and CreatePreparedStatement only plan. They return the answer's schema and price,
// and cost nothing. DoGet runs the query. A ticket runs at most once. If it is read again within ticketLife, it gives
// the same answer or error at no cost, even if the data has changed. Later it is unknown. A ticket belongs to its
// researcher only.
//
// Settings come as headers of the call (package session lists them): study, epsilon, intervals and so on. ADBC sets
// them as call headers, JDBC as properties of the URL.
//
// What an answer says beside its rows is in the metadata of the schema that DoGet streams, and its price is in that of
// GetFlightInfo's schema. Package tabular lists the keys.
//
// Transactions are accepted but have no meaning, since nothing is ever written.
package flightsql
