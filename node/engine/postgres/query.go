package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/intramuros/intramuros/node/engine"
)

// driver is PostgreSQL as package engine sees it.
type driver struct {
	pool *pgxpool.Pool
	zone string   // the hospital's
	key  [2]int64 // chooses which groups of a patient are kept
}

// Query is engine.Driver's.
func (d *driver) Query(ctx context.Context, sql string, keyed bool, fn func(row []any) error) error {
	if !keyed {
		return d.look(ctx, sql, fn)
	}
	return d.look(ctx, sql, fn, d.key[0], d.key[1])
}

// look runs one statement on a snapshot of its own, which cannot write.
func (d *driver) look(ctx context.Context, sql string, fn func(row []any) error, args ...any) error {
	var ours error // an error that is not the database's
	err := pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return err
			}
			if ours = fn(values); ours != nil {
				return ours
			}
		}
		return rows.Err()
	})
	if ours != nil {
		return ours
	}
	if err != nil {
		return fault(ctx, err)
	}
	return nil
}

// fault names what happened in words of our own: the server's may quote values.
func fault(ctx context.Context, err error) error {
	class := fmt.Sprintf("an error of type %T", err)
	var cause *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &cause):
		class = "PostgreSQL's error " + cause.Code
		for prefix, text := range classes {
			if strings.HasPrefix(cause.Code, prefix) {
				class += ": " + text
			}
		}
	case errors.As(err, &connect):
		class = unconnected(err)
	case errors.Is(err, pgx.ErrTxClosed), pgconn.SafeToRetry(err):
		class = "the connection to the server was lost"
	}
	return engine.NewFault(ctx, class, err)
}

// unconnected tells why there is no connection.
func unconnected(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var network *net.OpError
	switch {
	case errors.As(err, &authority):
		return "the server's certificate is not of an authority in `tls.ca`"
	case errors.As(err, &name):
		return "the server's certificate is of another name than `host`"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired, or is not valid yet"
	case errors.As(err, &invalid):
		return "the server's certificate is not one of a server"
	case errors.As(err, &network) && network.Op == "remote error": // an alert of TLS
		return "the server ended the TLS connection; it may want another client certificate (`tls.certificate`)"
	case errors.As(err, &network):
		return "the server cannot be reached at `host` and `port`"
	}
	return "the server cannot be reached, or has no TLS (`tls.mode`)"
}

// classes explains SQLSTATEs, by their beginning.
var classes = map[string]string{
	"08":    "the connection was lost",
	"22":    "a value made an operation fail, which is a fault of this program: please report it",
	"28":    "the server refused the user, the password or the certificate (pg_hba.conf decides)",
	"3D":    "there is no such database",
	"42501": "the role lacks a right; docs/postgresql-role.sql grants them",
	"42703": "a column changed under the catalog; run intramuros catalog check, then start the node anew",
	"42P01": "a table changed under the catalog; run intramuros catalog check, then start the node anew",
	"42883": "the type of a column changed under the catalog; run intramuros catalog check, then start the node anew",
	"42804": "the type of a column changed under the catalog; run intramuros catalog check, then start the node anew",
	"53":    "the server is out of memory, disk space or connections",
	"54":    "the query is too complex for the server",
	"55P03": "a table was locked for too long",
	"57014": "cancelled, or over its time",
	"57P":   "the server shut down",
}
