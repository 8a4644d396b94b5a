package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/intramuros/intramuros/node/engine"
)

// driver implements engine.Driver for PostgreSQL.
type driver struct {
	pool    *pgxpool.Pool
	zone    string         // the hospital's
	key     [2]int64       // chooses which groups of a patient are kept
	endings sync.WaitGroup // of sessions that ignored a cancel request
	rooms   chan struct{}  // holds one for each query whose rows are in the node's memory
}

// Query implements engine.Driver.
func (d *driver) Query(ctx context.Context, sql string, keyed bool, fn func(row []any) error) error {
	if !keyed {
		return d.look(ctx, sql, fn)
	}
	return d.look(ctx, sql, fn, d.key[0], d.key[1])
}

// look runs one statement in a read-only transaction with its own snapshot.
func (d *driver) look(ctx context.Context, sql string, fn func(row []any) error, args ...any) error {
	return d.within(ctx, func(tx pgx.Tx) (ours, err error) {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return nil, err
			}
			if ours = fn(values); ours != nil {
				return ours, ours
			}
		}
		return nil, rows.Err()
	})
}

// within runs statements in one read-only transaction with one snapshot. ours is an error of do that is not the
// database's.
func (d *driver) within(ctx context.Context, do func(tx pgx.Tx) (ours, err error)) error {
	var ours error
	var stubborn *pgx.Conn // the connection that did not answer a cancel request in time
	err := pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		defer func() {
			if ctx.Err() != nil && tx.Conn().IsClosed() {
				stubborn = tx.Conn()
			}
		}()
		var err error
		ours, err = do(tx)
		return err
	})
	if stubborn != nil {
		d.endings.Go(func() { d.terminate(stubborn) }) //nolint:contextcheck // the statement's has ended
	}
	switch {
	case ours != nil:
		return ours
	case stubborn != nil:
		reason := engine.ReasonCancelled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			reason = engine.ReasonDeadline
		}
		return engine.NewKilled(reason, "a statement had not ended a second after it was cancelled; its connection is closed, and its session ended", ctx.Err())
	case err != nil:
		return fault(ctx, err)
	}
	return nil
}

// force is the time limit of terminating a session.
const force = 2 * time.Second

// terminate terminates a session whose statement ignores a cancel request, with the same role, and closes the
// connection whatever the server does. From version 14 on the server then ends the session within a second, if it still
// can.
func (d *driver) terminate(session *pgx.Conn) {
	defer session.PgConn().Conn().Close()
	ctx, cancel := context.WithTimeout(context.Background(), force)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, d.pool.Config().ConnConfig)
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	// Another session may have the same process id by now, but not the same beginning.
	_, _ = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2 AND usename = current_user",
		session.PgConn().PID(), session.PgConn().CustomData()[begun])
}

// begun is the key, in a connection's data, of the session's beginning by the server's clock.
const begun = "intramuros: begun"

// fault returns an error in our own words, because the server's message may quote values.
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
		if strings.HasPrefix(cause.Code, "22") {
			return engine.NewTableFault(ctx, class, err)
		}
	case errors.As(err, &connect):
		class = unconnected(err)
	case errors.Is(err, pgx.ErrTxClosed), pgconn.SafeToRetry(err):
		class = "the connection to the server was lost"
	}
	return engine.NewFault(ctx, class, err)
}

// unconnected says why there is no connection.
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

// classes explains SQLSTATEs by their first characters.
var classes = map[string]string{
	"08":    "the connection was lost",
	"22":    "a view, or a `select` in node.yaml, fails on a row's value: let it use what cannot fail; without either, please report it",
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
