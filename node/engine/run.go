package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// batchRows is the largest number of groups in one record.
const batchRows = 8192

// Run computes the fragment and passes its partial aggregates to send, in records of the fragment's Schema, ordered by
// the keys. Without keys there is one row, even if no row of the data counts. A record is valid until send returns. Run
// ends with send's first error, or within a second after ctx ends. Other errors are those of Compile and ErrDatabase.
func (e *Engine) Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error {
	return e.run(ctx, f, p, alloc, send, e.query)
}

// RunCompiled is Run with the database's SQL alone, which gives the same integers.
func (e *Engine) RunCompiled(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error {
	return e.run(ctx, f, p, alloc, send, func(ctx context.Context, at *prepared, fn func(row []any) error) error {
		return e.driver.Query(ctx, at.sql, at.keyed, fn)
	})
}

// run is Run with a given way to execute the statement.
func (e *Engine) run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error,
	query func(ctx context.Context, at *prepared, fn func(row []any) error) error) error {
	state, sure, err := e.sure(ctx, f)
	if err != nil {
		return err
	}
	at, err := e.prepare(f, p, sure)
	if err != nil {
		return err
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
	err = query(ctx, &at, func(row []any) error {
		if last := len(row) - 1; at.guarded && last >= 0 {
			if is, ok := row[last].(bool); !ok || is {
				return Broken(ctx)
			}
			row = row[:last]
		}
		if len(row) != len(f.Keys)+len(f.Partials) {
			return fmt.Errorf("%w: it gave %d columns, not %d", ErrDatabase, len(row), len(f.Keys)+len(f.Partials))
		}
		for i := range keys {
			v, err := valueOf(row[i], f.Keys[i].Expr.Type)
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
	if now, err := e.name(ctx); err != nil || now != state {
		return errors.Join(err, changed(ctx))
	}
	if n > 0 {
		return flush()
	}
	return nil
}

// query runs a prepared fragment, as a stream if possible.
func (e *Engine) query(ctx context.Context, at *prepared, fn func(row []any) error) error {
	if at.plan != nil {
		answer := fn
		if at.guarded { // Stream has checked it
			answer = func(row []any) error { return fn(append(row, false)) }
		}
		err := e.driver.(Streamer).Stream(ctx, at.guard, at.rows, at.plan, at.keyed, answer)
		if !errors.Is(err, stream.ErrTooMuch) {
			return err
		}
	}
	return e.driver.Query(ctx, at.sql, at.keyed, fn)
}

// readPartial reads one partial aggregate: an integer, or a text of the bucket counts above 0 such as "3:10 7:2", in
// which bucket 3 has 10.
func readPartial(v any, p fragment.Partial, into []int64) error {
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

// valueOf converts a driver's value to a value of the type.
func valueOf(v any, t value.Type) (value.Value, error) {
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
		if t != value.TypeText { // otherwise a driver would read a date or timestamp in a time zone
			return value.Parse(t, v)
		}
		return value.Text(v), nil
	case time.Time:
		if t == value.TypeDate {
			return value.Date(floorDays(v.Unix())), nil
		}
		return value.Timestamp(v.UnixMicro()), nil
	}
	return value.Value{}, fmt.Errorf("%w: a key is a %T, not a %s", ErrDatabase, v, t)
}

func floorDays(seconds int64) int64 {
	days := seconds / 86400
	if seconds%86400 < 0 {
		days--
	}
	return days
}
