// Package postgres is the coordinator's front door for all that speaks PostgreSQL's
// protocol: psql, psycopg, pgJDBC, and BI tools on top of these. It only translates;
// what may be asked, and what is released, is settled in package coordinator.
//
// Who asks. TLS always; without it nobody is asked for a password. The user is the
// researcher's name, the password the token, the database the study. Local accounts prove
// their token by SCRAM-SHA-256, bound to the server's certificate where the client can do
// that; tokens of identity providers, and of accounts that have no keys for it, are sent.
//
// What is answered. A question about patients goes to the coordinator. Describe plans it
// and costs nothing; Execute runs it, once for each Bind. What it cost and how far its
// intervals reach come as NOTICE. SET changes the settings of package session: epsilon,
// intervals = columns and so on. A question about the catalog goes to package dictionary.
// BEGIN, COMMIT and their like are accepted and mean nothing, since nothing here is ever
// written: an error does not end a transaction.
//
// The messages are read and written by pgproto3 of pgx. psql-wire, a server library, was
// left out: it answers an error in the extended protocol with ReadyForQuery at once
// and again at Sync, after which pgJDBC and psycopg are out of step, ignores the types of
// parameters, and has no NOTICE.
package postgres
