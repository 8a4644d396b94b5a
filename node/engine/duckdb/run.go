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

	"github.com/intramuros/intramuros/node/engine"
)

// errNotSelect means that something other than one SELECT was about to be run.
var errNotSelect = errors.New("the engine runs single SELECT statements only")

// driver is DuckDB as package engine sees it.
type driver struct {
	db  *sql.DB
	key [2]uint64 // chooses which groups of a patient are kept
}

// Query is engine.Driver's.
func (d *driver) Query(ctx context.Context, text string, keyed bool, fn func(row []any) error) error {
	if !single(text) {
		return errNotSelect
	}
	var args []sqldriver.NamedValue
	if keyed {
		args = []sqldriver.NamedValue{{Name: "group_key_1", Ordinal: 1, Value: d.key[0]}, {Name: "group_key_2", Ordinal: 2, Value: d.key[1]}}
	}
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	defer conn.Close()
	var ours error // an error that is not the database's
	err = conn.Raw(func(c any) error {
		prepared, err := c.(*duckdb.Conn).PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		stmt := prepared.(*duckdb.Stmt)
		defer stmt.Close()
		if kind, err := stmt.StatementType(); err != nil || kind != duckdb.STATEMENT_TYPE_SELECT {
			ours = errNotSelect
			return err
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
				values[i] = v
			}
			if ours = fn(values); ours != nil {
				return nil
			}
			if ours = ctx.Err(); ours != nil {
				return nil
			}
		}
	})
	if ours != nil {
		return ours
	}
	if err != nil {
		return fault(ctx, err)
	}
	return nil
}

// fault names what happened in words of our own: DuckDB's may quote values.
func fault(ctx context.Context, err error) error {
	var cause *duckdb.Error
	class := fmt.Sprintf("an error of type %T", err)
	if errors.As(err, &cause) {
		switch cause.Type {
		case duckdb.ErrorTypeOutOfMemory:
			class = "out of memory: raise memory_limit, or give a spill_folder"
		case duckdb.ErrorTypeIO:
			class = "a file cannot be read; it may be gone: run intramuros catalog check, then start the node anew"
		case duckdb.ErrorTypeBinder, duckdb.ErrorTypeCatalog, duckdb.ErrorTypeMismatchType, duckdb.ErrorTypeInvalidInput:
			class = "a table or file changed under the catalog, or the files of one table differ in their columns; run intramuros catalog check, then start the node anew"
		case duckdb.ErrorTypeInterrupt:
			class = "interrupted"
		default:
			class = fmt.Sprintf("DuckDB's error type %d", cause.Type)
		}
	}
	return engine.NewFault(ctx, class, err)
}

// single reports whether no semicolon stands outside of quotes. The driver would
// run each of several statements, and only the last one's kind can be asked for.
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
