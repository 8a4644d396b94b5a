package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/stream"
)

const (
	// roomForRows is the memory, in bytes, for the rows of all concurrent queries. Their sums may take as much again.
	// If the rows of a query exceed its part, they are read again.
	roomForRows = 256 << 20
	batchRows   = 4096
	batchBytes  = 1 << 20 // of texts, and one row's
	// PostgreSQL counts days and microseconds from the year 2000.
	firstDay     = 10957
	firstInstant = firstDay * 86_400_000_000
)

// Stream implements engine.Streamer. It reads everything in one snapshot, in binary form, and writes nothing to disk.
func (d *driver) Stream(ctx context.Context, guard, rows string, plan *stream.Plan, keyed bool, fn func(row []any) error) error {
	op, err := plan.New(d.room())
	if err != nil {
		return err
	}
	select {
	case d.rooms <- struct{}{}:
		defer func() { <-d.rooms }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var args []any
	if keyed {
		args = []any{d.key[0], d.key[1]}
	}
	err = d.within(ctx, func(tx pgx.Tx) (ours, err error) {
		for again := true; again; {
			if ours, err := hand(ctx, tx, op, plan, rows, args); err != nil {
				return ours, err
			}
			if again, err = op.EndPass(ctx, runtime.GOMAXPROCS(0)); err != nil {
				return tooMuch(err), err
			}
		}
		if guard != "" { // now that no table can get another's name: the tables that were read stay locked
			broken := true
			if err := tx.QueryRow(ctx, guard).Scan(&broken); err != nil {
				return nil, err
			}
			if broken {
				err := engine.Broken(ctx)
				return err, err
			}
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	return op.Each(func(keys []value.Value, partials []int64) error { return fn(plan.Row(keys, partials)) })
}

// room returns the memory for the rows of one query, in bytes.
func (d *driver) room() int64 { return roomForRows / int64(cap(d.rooms)) }

// oids are the PostgreSQL types of columns in binary form.
var oids = map[value.Type]uint32{
	value.TypeBool: pgtype.BoolOID, value.TypeInt: pgtype.Int8OID, value.TypeFloat: pgtype.Float8OID,
	value.TypeText: pgtype.TextOID, value.TypeDate: pgtype.DateOID, value.TypeTimestamp: pgtype.TimestampOID,
}

// hand reads the rows and passes them to the operator. If a column does not have the plan's type, it returns
// stream.ErrTooMuch, and the server's SQL computes the query.
func hand(ctx context.Context, tx pgx.Tx, op *stream.Operator, plan *stream.Plan, sql string, args []any) (ours, err error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	fields := rows.FieldDescriptions()
	for i, f := range fields {
		if len(fields) != plan.Columns() || f.DataTypeOID != oids[plan.Type(i)] || f.Format != pgx.BinaryFormatCode && plan.Type(i) != value.TypeText {
			return stream.ErrTooMuch, stream.ErrTooMuch
		}
	}
	b := newBatch(plan)
	for rows.Next() {
		b.add(rows.RawValues())
		if b.rows == batchRows || len(b.bytes) >= batchBytes {
			if err := b.hand(op); err != nil {
				return tooMuch(err), err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	err = b.hand(op)
	return tooMuch(err), err
}

// tooMuch returns err if it is stream.ErrTooMuch, which is not an error of the database, and else nil.
func tooMuch(err error) error {
	if errors.Is(err, stream.ErrTooMuch) {
		return err
	}
	return nil
}

// batch collects rows for the operator.
type batch struct {
	plan    *stream.Plan
	rows    int
	columns []stream.Column
	bytes   []byte  // of texts
	ends    [][]int // of each text column, where its texts begin and end among bytes
}

func newBatch(p *stream.Plan) *batch {
	b := &batch{plan: p, columns: make([]stream.Column, p.Columns()), ends: make([][]int, p.Columns())}
	for i := range b.columns {
		c := &b.columns[i]
		c.Valid = make([]uint64, batchRows/64)
		switch p.Type(i) {
		case value.TypeBool:
			c.Bools = make([]uint8, batchRows)
		case value.TypeFloat:
			c.Floats = make([]float64, batchRows)
		case value.TypeDate:
			c.Days = make([]int32, batchRows)
		case value.TypeText:
			b.ends[i] = make([]int, 2*batchRows)
			c.Text = func(row int) string { return string(b.bytes[b.ends[i][2*row]:b.ends[i][2*row+1]]) }
		default:
			c.Ints = make([]int64, batchRows)
		}
	}
	return b
}

// hand passes the batch to the operator and empties it.
func (b *batch) hand(op *stream.Operator) error {
	if b.rows == 0 {
		return nil
	}
	err := op.Add(b.rows, b.columns)
	b.rows, b.bytes = 0, b.bytes[:0]
	for i := range b.columns {
		clear(b.columns[i].Valid)
	}
	return err
}

// add appends a row of binary values.
func (b *batch) add(values [][]byte) {
	for i, raw := range values {
		if raw == nil {
			continue
		}
		c, row := &b.columns[i], b.rows
		c.Valid[row>>6] |= 1 << (row & 63)
		switch b.plan.Type(i) {
		case value.TypeBool:
			c.Bools[row] = raw[0]
		case value.TypeFloat:
			c.Floats[row] = math.Float64frombits(binary.BigEndian.Uint64(raw))
		case value.TypeDate:
			c.Days[row] = int32(binary.BigEndian.Uint32(raw)) + firstDay //nolint:gosec // its bits, of a year from 1 to 9999
		case value.TypeText:
			b.ends[i][2*row] = len(b.bytes)
			b.bytes = append(b.bytes, raw...)
			b.ends[i][2*row+1] = len(b.bytes)
		case value.TypeTimestamp:
			c.Ints[row] = int64(binary.BigEndian.Uint64(raw)) + firstInstant //nolint:gosec // likewise
		default:
			c.Ints[row] = int64(binary.BigEndian.Uint64(raw)) //nolint:gosec // its bits
		}
	}
	b.rows++
}
