package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// batchRows is how many groups one record holds at most.
const batchRows = 8192

// ErrDatabase means that DuckDB could not answer. Its own message may quote
// values, so that it is not part of the text; errors.Unwrap gives it.
var ErrDatabase = errors.New("the database could not answer; this hospital's custodian may find the cause in free memory, disk space, or files that changed")

// ErrNotSelect means that something other than one SELECT was about to be run.
var ErrNotSelect = errors.New("the engine runs single SELECT statements only")

// Compile returns the SQL that Run would run, for a custodian to read. Errors are
// those of compile.Target.
func (e *Engine) Compile(f *fragment.Fragment, p *fragment.Proof) (string, error) {
	return e.target().Fragment(f, p)
}

// target is this database as SQL is written for it.
func (e *Engine) target() *compile.Target {
	return &compile.Target{Dialect: compile.DuckDB, Catalog: e.catalog, Hospital: e.hospital, Table: func(t *catalog.Table) (string, bool) {
		return schema + `."` + t.Name + `"`, e.offered[t.Name]
	}}
}

type databaseError struct{ cause error }

// Class names what happened, in words of our own: DuckDB's may quote values.
func (e *databaseError) Class() string {
	var cause *duckdb.Error
	if !errors.As(e.cause, &cause) {
		return fmt.Sprintf("an error of type %T", e.cause)
	}
	switch cause.Type {
	case duckdb.ErrorTypeOutOfMemory:
		return "out of memory: raise memory_limit, or give a spill_folder"
	case duckdb.ErrorTypeIO:
		return "a file cannot be read"
	case duckdb.ErrorTypeInterrupt:
		return "interrupted"
	}
	return fmt.Sprintf("DuckDB's error type %d", cause.Type)
}

func (e *databaseError) Error() string        { return ErrDatabase.Error() }
func (e *databaseError) Is(target error) bool { return target == ErrDatabase }
func (e *databaseError) Unwrap() error        { return e.cause }

// Run computes the fragment and hands its partial aggregates to send, in records
// of the fragment's Schema, ordered by the keys; without keys it is one row, even
// where no row of the data counts. A record is valid until send returns. Run ends
// with send's first error, or soon (within a second) after ctx does. Other errors are
// those of Compile and ErrDatabase.
func (e *Engine) Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error {
	text, err := e.Compile(f, p)
	if err != nil {
		return err
	}
	var args []driver.NamedValue
	if p.Truncates && !p.OneRow {
		args = []driver.NamedValue{{Name: "group_key_1", Ordinal: 1, Value: e.groupKey[0]}, {Name: "group_key_2", Ordinal: 2, Value: e.groupKey[1]}}
	}
	b := array.NewRecordBuilder(alloc, f.Schema())
	defer b.Release()
	n := 0
	flush := func() error {
		r := b.NewRecord()
		defer r.Release()
		n = 0
		return send(r)
	}
	keys, partials := make([]value.Value, len(f.Keys)), make([]int64, f.Width())
	err = e.query(ctx, text, args, func(row []driver.Value) error {
		for i := range keys {
			v, err := fromDriver(row[i], f.Keys[i].Expr.Type)
			if err != nil {
				return err
			}
			keys[i] = v
		}
		into := partials
		for i, p := range f.Partials {
			if err := readPartial(row[len(keys)+i], p, into[:p.Width()]); err != nil {
				return err
			}
			into = into[p.Width():]
		}
		fragment.AppendRow(b, keys, partials)
		if n++; n == batchRows {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n > 0 {
		return flush()
	}
	return nil
}

// readPartial reads one partial aggregate, an integer or packed buckets.
func readPartial(v driver.Value, p fragment.Partial, into []int64) error {
	if p.Buckets == nil {
		sum, ok := v.(int64)
		if !ok {
			return fmt.Errorf("%w: a partial aggregate is a %T", ErrDatabase, v)
		}
		into[0] = sum
		return nil
	}
	clear(into)
	packed, _ := v.(string) // NULL: no value in any bucket
	for _, pair := range strings.Fields(packed) {
		leaf, count, _ := strings.Cut(pair, ":")
		i, err := strconv.Atoi(leaf)
		if err != nil || i < 0 || i >= len(into) {
			return fmt.Errorf("%w: a bucket is out of range", ErrDatabase)
		}
		if into[i], err = strconv.ParseInt(count, 10, 64); err != nil {
			return fmt.Errorf("%w: a bucket's count is out of range", ErrDatabase)
		}
	}
	return nil
}

// fromDriver turns a value of the driver into one of the type.
func fromDriver(v driver.Value, t value.Type) (value.Value, error) {
	switch v := v.(type) {
	case nil:
		return value.Null(t), nil
	case bool:
		return value.Bool(v), nil
	case int64:
		return value.Int(v), nil
	case float64:
		return value.Float(v), nil
	case string:
		return value.Text(v), nil
	case time.Time:
		if t == value.TypeDate {
			return value.Date(v.Unix() / 86400), nil
		}
		return value.Timestamp(v.UnixMicro()), nil
	}
	return value.Value{}, fmt.Errorf("%w: a key is a %T, not a %s", ErrDatabase, v, t)
}

// query runs one SELECT and calls fn for each row. fn's error comes back as it is.
func (e *Engine) query(ctx context.Context, text string, args []driver.NamedValue, fn func([]driver.Value) error) error {
	return query(ctx, e.db, text, args, fn)
}

func query(ctx context.Context, db *sql.DB, text string, args []driver.NamedValue, fn func([]driver.Value) error) error {
	if !single(text) {
		return ErrNotSelect
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return database(ctx, err)
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
			ours = ErrNotSelect
			return err
		}
		rows, err := stmt.QueryContext(ctx, args)
		if err != nil {
			return err
		}
		defer rows.Close()
		row := make([]driver.Value, len(rows.Columns()))
		for {
			if err := rows.Next(row); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if ours = fn(row); ours != nil {
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
		return database(ctx, err)
	}
	return nil
}

// database hides the cause of an error, unless it is that ctx ended.
func database(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &databaseError{err}
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
