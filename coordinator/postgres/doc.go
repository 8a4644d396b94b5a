// Package postgres is the coordinator's front door for clients of PostgreSQL's protocol: psql, psycopg, pgJDBC, and BI
// tools on top of these. It only translates. Package coordinator decides what may be asked and what is released.
//
// Authentication. TLS is required; without it no client is asked for a password. The user is the researcher's name, the
// password the token, the database the study. Local accounts prove their token by SCRAM-SHA-256, bound to the server's
// certificate if the client supports that. Tokens of identity providers, and of accounts without SCRAM keys, are sent.
//
// Questions. A question about patients goes to the coordinator. Describe plans it and costs nothing. Execute runs it,
// once for each Bind. Its cost and the width of its intervals are sent as NOTICE. SET changes the settings of package
// session: epsilon, intervals = columns and so on. A question about the catalog goes to package dictionary. BEGIN,
// COMMIT and similar statements are accepted and do nothing, since nothing is ever written here: an error does not end
// a transaction.
//
// The messages are read and written by pgproto3 of pgx. psql-wire, a server library, was rejected. It answers an error
// in the extended protocol with ReadyForQuery at once and again at Sync, after which pgJDBC and psycopg are out of
// step. It also ignores the types of parameters, and has no NOTICE.
package postgres
