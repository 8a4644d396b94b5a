package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// adds is the function by which a SELECT passes its rows to an operator. Its arguments are the operator's number and
// the columns of its plan. DuckDB's own threads call it with the vectors of the scan.
const adds = "intramuros_add"

// sinks are the operators that a DuckDB can pass rows to.
type sinks struct {
	mu   sync.Mutex
	last int64
	open map[int64]*sink
}

// sink is an operator with the first error in it.
type sink struct {
	*stream.Operator
	plan *stream.Plan
	mu   sync.Mutex
	err  error
}

func (s *sink) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	return s.err
}

func (all *sinks) add(s *sink) int64 {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open == nil {
		all.open = map[int64]*sink{}
	}
	all.last++
	all.open[all.last] = s
	return all.last
}

func (all *sinks) remove(n int64) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, n)
}

func (all *sinks) get(n any) (*sink, bool) {
	number, _ := n.(int64)
	all.mu.Lock()
	defer all.mu.Unlock()
	s, ok := all.open[number]
	return s, ok
}

// register registers the function in a DuckDB.
func (all *sinks) register(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return duckdb.RegisterScalarUDF(conn, adds, adding{all})
}

// adding is the function in the driver's form.
type adding struct{ sinks *sinks }

type sinkKey struct{}

func (adding) Config() duckdb.ScalarFuncConfig {
	number, _ := duckdb.NewTypeInfo(duckdb.TYPE_BIGINT) // types without further information, which cannot fail
	rest, _ := duckdb.NewTypeInfo(duckdb.TYPE_ANY)
	one, _ := duckdb.NewTypeInfo(duckdb.TYPE_BOOLEAN)
	return duckdb.ScalarFuncConfig{InputTypeInfos: []duckdb.TypeInfo{number}, VariadicTypeInfo: rest, ResultTypeInfo: one, Volatile: true, SpecialNullHandling: true}
}

func (a adding) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{
		ScalarBinder: func(_ context.Context, args []duckdb.ScalarUDFArg) (context.Context, error) {
			s, ok := a.sinks.get(args[0].Value)
			if !ok {
				return nil, errors.New("permission denied: no rows are added up here")
			}
			return context.WithValue(context.Background(), sinkKey{}, s), nil
		},
		ChunkContextExecutor: func(ctx context.Context, state *duckdb.ChunkIteratorState) error {
			s, _ := ctx.Value(sinkKey{}).(*sink)
			if err := s.chunk(state); err != nil {
				return s.fail(err)
			}
			return nil
		},
	}
}

// chunk adds the rows of a chunk and returns true for each.
func (s *sink) chunk(state *duckdb.ChunkIteratorState) error {
	chunk := state.GetInputChunk()
	rows := chunk.GetSize()
	if chunk.ColumnCount() != 1+s.plan.Columns() {
		return fmt.Errorf("%d columns are handed over, not %d", chunk.ColumnCount(), 1+s.plan.Columns())
	}
	columns := make([]stream.Column, s.plan.Columns())
	for i := range columns {
		v, err := chunk.GetVector(1 + i)
		if err != nil {
			return err
		}
		if columns[i], err = read(v, s.plan.Type(i), rows); err != nil {
			return err
		}
	}
	result, err := vectorOf(state.GetResultVector())
	if err != nil {
		return err
	}
	trues := unsafe.Slice((*uint64)(result.data), (rows+7)/8) // a vector's length is a power of two, so there is room
	for i := range trues {
		trues[i] = 0x0101010101010101
	}
	return s.Add(rows, columns)
}

// errVector means that the driver's version is not the one for which this code was written.
var errVector = errors.New("the driver's vectors are not as they were")

// vector is where the values of a column of a chunk are in memory, and the bits that say which are not NULL (nil: all).
type vector struct {
	kind        duckdb.Type
	data, valid unsafe.Pointer
}

// layout is where these fields are in the driver's vector. The driver itself only returns single values, each newly
// wrapped.
var layout = sync.OnceValues(func() (at struct{ vector, kind, data, valid uintptr }, err error) {
	outer, ok := reflect.TypeFor[duckdb.Vector]().FieldByName("v")
	if !ok || outer.Type.Kind() != reflect.Pointer || outer.Type.Elem().Kind() != reflect.Struct {
		return at, errVector
	}
	at.vector = outer.Offset
	for name, field := range map[string]struct {
		of reflect.Type
		at *uintptr
	}{"Type": {reflect.TypeFor[duckdb.Type](), &at.kind}, "dataPtr": {reflect.TypeFor[unsafe.Pointer](), &at.data}, "maskPtr": {reflect.TypeFor[unsafe.Pointer](), &at.valid}} {
		is, ok := outer.Type.Elem().FieldByName(name)
		if !ok || is.Type != field.of {
			return at, errVector
		}
		for i := range is.Index {
			*field.at += outer.Type.Elem().FieldByIndex(is.Index[:i+1]).Offset
		}
	}
	return at, nil
})

// vectorOf reads the fields of the driver's vector.
func vectorOf(v duckdb.Vector) (vector, error) {
	at, err := layout()
	if err != nil {
		return vector{}, err
	}
	inner := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(&v), at.vector))
	if inner == nil {
		return vector{}, errVector
	}
	return vector{
		kind: *(*duckdb.Type)(unsafe.Add(inner, at.kind)),
		data: *(*unsafe.Pointer)(unsafe.Add(inner, at.data)), valid: *(*unsafe.Pointer)(unsafe.Add(inner, at.valid)),
	}, nil
}

// kinds maps catalog types to DuckDB's column types.
var kinds = map[value.Type]duckdb.Type{
	value.TypeBool: duckdb.TYPE_BOOLEAN, value.TypeInt: duckdb.TYPE_BIGINT, value.TypeFloat: duckdb.TYPE_DOUBLE,
	value.TypeText: duckdb.TYPE_VARCHAR, value.TypeDate: duckdb.TYPE_DATE, value.TypeTimestamp: duckdb.TYPE_TIMESTAMP,
}

// read returns a column of a chunk in DuckDB's memory, without copying it.
func read(of duckdb.Vector, t value.Type, rows int) (stream.Column, error) {
	var c stream.Column
	v, err := vectorOf(of)
	if err != nil {
		return c, err
	}
	if v.kind != kinds[t] {
		return c, fmt.Errorf("a column of type %d is handed over as %s", v.kind, t)
	}
	if v.valid != nil {
		c.Valid = unsafe.Slice((*uint64)(v.valid), (rows+63)/64)
	}
	data := v.data
	switch t {
	case value.TypeBool:
		c.Bools = unsafe.Slice((*uint8)(data), rows)
	case value.TypeFloat:
		c.Floats = unsafe.Slice((*float64)(data), rows)
	case value.TypeDate:
		c.Days = unsafe.Slice((*int32)(data), rows)
	case value.TypeText:
		texts := unsafe.Slice((*text)(data), rows)
		c.Text = func(row int) string { return texts[row].text() }
	default:
		c.Ints = unsafe.Slice((*int64)(data), rows)
	}
	return c, nil
}

// text is a string in DuckDB's memory. A short one is stored in place; a long one as its first bytes and a pointer.
type text struct {
	length uint32
	inline [4]byte
	rest   [8]byte
}

const longestInline = 12

func (t *text) text() string {
	if t.length <= longestInline {
		return unsafe.String(&t.inline[0], t.length)
	}
	return unsafe.String(*(**byte)(unsafe.Pointer(&t.rest)), t.length)
}

// sum is the SELECT that passes the rows of a SELECT to operator n and returns their number.
func sum(n int64, plan *stream.Plan, rows string) string {
	names := []string{"patient"}
	for i := range plan.Keys {
		names = append(names, "k"+strconv.Itoa(i))
	}
	for i := range plan.Cells {
		names = append(names, "x"+strconv.Itoa(i))
	}
	return fmt.Sprintf("SELECT count(%s(%d::BIGINT, %s))\nFROM (\n%s\n) AS r", adds, n, strings.Join(names, ", "), rows)
}

// errRows means that DuckDB passed other rows than it counted.
var errRows = errors.New("the rows that were added up are not those that were read")

// add runs a SELECT of rows, adds them up by the plan, and calls fn for each group, as Query does for the fragment's
// SQL. If the error is stream.ErrTooMuch, fn was not called, and DuckDB must run the whole fragment.
func (d *database) add(ctx context.Context, rows string, plan *stream.Plan, keys []uint64, fn func(row []any) error) error {
	op, err := plan.New(d.room)
	if err != nil {
		return err
	}
	s := &sink{Operator: op, plan: plan}
	n := d.sinks.add(s)
	defer d.sinks.remove(n)
	for again := true; again; {
		read := int64(0)
		err := look(ctx, d.DB, sum(n, plan, rows), keys, func(row []any) error {
			read, _ = row[0].(int64) // NULL if there are no rows
			return nil
		})
		if s.err != nil {
			return s.err
		}
		if err == nil && read != op.Rows() {
			err = errRows
		}
		if err != nil {
			return err
		}
		if again, err = op.EndPass(ctx, d.threads()); err != nil {
			return err
		}
	}
	return op.Each(func(keys []value.Value, partials []int64) error { return fn(plan.Row(keys, partials)) })
}

// threads is the number of goroutines that add up.
func (d *database) threads() int {
	if d.most > 0 {
		return min(d.most, runtime.GOMAXPROCS(0))
	}
	return runtime.GOMAXPROCS(0)
}
