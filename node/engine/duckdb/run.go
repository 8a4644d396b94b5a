package duckdb

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// errNotSelect means that something other than one SELECT was about to be run.
var errNotSelect = errors.New("the engine runs single SELECT statements only")

// driver implements engine.Driver for DuckDB.
type driver struct {
	db      *database    // in this process; nil with workers
	workers *workers     // DuckDB in separate processes
	key     [2]uint64    // chooses which groups of a patient are kept
	reading *csv.Reading // for texts outside CSV files
	zone    string       // the hospital's
	done    []statement  // what execute did, to set up other processes in the same way
}

func newDriver(cfg Config) (*driver, error) {
	reading, err := (&csv.Settings{}).Reading(cfg.zone())
	return &driver{reading: reading, zone: cfg.zone()}, err
}

// Query implements engine.Driver.
func (d *driver) Query(ctx context.Context, text string, keyed bool, fn func(row []any) error) error {
	return d.query(ctx, request{SQL: text}, keyed, fn)
}

// Stream implements engine.Streamer.
func (d *driver) Stream(ctx context.Context, _, rows string, plan *stream.Plan, keyed bool, fn func(row []any) error) error {
	return d.query(ctx, request{SQL: rows, Plan: plan}, keyed, fn)
}

func (d *driver) query(ctx context.Context, q request, keyed bool, fn func(row []any) error) error {
	if !single(q.SQL) {
		return errNotSelect
	}
	if keyed {
		q.Keys = d.key[:]
	}
	var ours error // an error that is not the database's
	each := func(row []any) error {
		ours = fn(row)
		return ours
	}
	var err error
	if d.workers != nil {
		err = d.lookApart(ctx, q, each)
	} else {
		err = d.db.answer(ctx, q, each)
	}
	switch {
	case ours != nil:
		return ours
	case errors.Is(err, errNotSelect), errors.Is(err, stream.ErrTooMuch):
		return err
	case err != nil:
		return fault(ctx, err)
	}
	return nil
}

// answer runs a SELECT in this process, and adds up its rows if there is a plan.
func (d *database) answer(ctx context.Context, q request, fn func(row []any) error) error {
	if q.Plan != nil {
		return d.add(ctx, q.SQL, q.Plan, q.Keys, fn)
	}
	return look(ctx, d.DB, q.SQL, q.Keys, fn)
}

// look is Query, but returns the database's own errors. fn must not query the database.
func (d *driver) look(ctx context.Context, text string, keys []uint64, fn func(row []any) error) error {
	if d.workers != nil {
		return d.lookApart(ctx, request{SQL: text, Keys: keys}, fn)
	}
	return look(ctx, d.db.DB, text, keys, fn)
}

// execute runs a statement of the setup.
func (d *driver) execute(ctx context.Context, s statement) (err error) {
	if d.workers != nil {
		err = d.lookApart(ctx, request{SQL: s.SQL, Execute: true}, nil)
	} else {
		_, err = d.db.ExecContext(ctx, s.SQL)
	}
	if err == nil {
		d.done = append(d.done, s)
	}
	return err
}

// look runs one SELECT in this process, with the parameters group_key_1 and group_key_2 if there are keys.
func look(ctx context.Context, db *sql.DB, text string, keys []uint64, fn func(row []any) error) error {
	var args []sqldriver.NamedValue
	for i, k := range keys {
		args = append(args, sqldriver.NamedValue{Name: fmt.Sprintf("group_key_%d", i+1), Ordinal: i + 1, Value: k})
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		prepared, err := c.(*duckdb.Conn).PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		stmt := prepared.(*duckdb.Stmt)
		defer stmt.Close()
		if kind, err := stmt.StatementType(); err != nil || kind != duckdb.STATEMENT_TYPE_SELECT {
			return errNotSelect
		}
		rows, err := stmt.QueryContext(ctx, args)
		if err != nil {
			return err
		}
		defer rows.Close()
		row := make([]sqldriver.Value, len(rows.Columns()))
		values := make([]any, len(row))
		for {
			if err := rows.Next(row); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			for i, v := range row {
				values[i] = wide(v)
			}
			if err := fn(values); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	})
}

// wide converts a number of DuckDB's narrower types to engine.Driver's types.
func wide(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case float32:
		return float64(v)
	}
	return v
}

// fault describes an error in our own words, because DuckDB's text may quote values.
func fault(ctx context.Context, err error) error {
	var cause *duckdb.Error
	var ended *worker.Ended
	var refused *worker.Refused
	class := fmt.Sprintf("an error of type %T", err)
	switch {
	case errors.As(err, &ended) && (ended.Reason != worker.Lost || ctx.Err() == nil):
		return killed(ended)
	case errors.As(err, &refused):
		class = "the database cannot be opened again; a file may have changed or gone: run intramuros catalog check, then start the node anew"
	case errors.As(err, &cause):
		if of := tableFault(cause); of != "" {
			return engine.NewTableFault(ctx, of, err)
		}
		switch cause.Type {
		case duckdb.ErrorTypeOutOfMemory:
			class = "out of memory: raise memory_limit, or give a spill_folder"
		case duckdb.ErrorTypeInterrupt:
			class = "interrupted"
		default:
			class = fmt.Sprintf("DuckDB's error type %d", cause.Type)
		}
	}
	return engine.NewFault(ctx, class, err)
}

// tableFault says what is wrong with the table that was read; "" if the table is not the cause.
func tableFault(cause *duckdb.Error) string {
	if cause.Type == duckdb.ErrorTypeInvalidInput && (strings.Contains(cause.Msg, "agic bytes") || strings.Contains(cause.Msg, "too small to be a Parquet")) {
		return "a file is no Parquet file, or is half written: let the load write it elsewhere and rename it into its place"
	}
	if cause.Type == duckdb.ErrorTypeInvalidInput && strings.Contains(cause.Msg, "Invalid string encoding") {
		return "a Parquet file holds texts that are not UTF-8: let the load write them in UTF-8"
	}
	switch cause.Type {
	case duckdb.ErrorTypeIO:
		return "a file cannot be read; it may be gone, or be half written: run intramuros catalog check, then start the node anew"
	case duckdb.ErrorTypeBinder, duckdb.ErrorTypeCatalog, duckdb.ErrorTypeMismatchType, duckdb.ErrorTypeInvalidInput:
		return "a table or file changed under the catalog, or the files of one table differ in their columns; run intramuros catalog check, then start the node anew"
	case duckdb.ErrorTypeConversion, duckdb.ErrorTypeOutOfRange, duckdb.ErrorTypeDecimal, duckdb.ErrorTypeDivideByZero, duckdb.ErrorTypeInvalidType:
		// SQL of package compile cannot fail so
		return "its view, or its `select` in node.yaml, fails on a row's value; let it use what cannot fail, such as TRY_CAST"
	case duckdb.ErrorTypePermission:
		return "it is a view that reads a file outside of the database; read the file itself: give its folder as `folder`, or let the view be a table"
	}
	return ""
}

// single reports whether no semicolon is outside quotes. The driver would run each of several statements, but reports
// only the kind of the last one.
func single(text string) bool {
	var quote rune
	return !strings.ContainsFunc(text, func(r rune) bool {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		default:
			return r == ';'
		}
		return false
	})
}
