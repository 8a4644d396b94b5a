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
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// adds is the function by which a SELECT hands its rows to an operator: the operator's number, and the columns of its
// plan. It is called by DuckDB's own threads, with the vectors as they come out of the scan.
const adds = "intramuros_add"

// sinks are the operators that a DuckDB can hand rows to.
type sinks struct {
	mu   sync.Mutex
	last int64
	open map[int64]*sink
}

// sink is an operator, and what went wrong in it.
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

// register gives a DuckDB the function.
func (all *sinks) register(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return duckdb.RegisterScalarUDF(conn, adds, adding{all})
}

// adding is the function, as the driver has it.
type adding struct{ sinks *sinks }

type sinkKey struct{}

func (adding) Config() duckdb.ScalarFuncConfig {
	number, _ := duckdb.NewTypeInfo(duckdb.TYPE_BIGINT) // which are types without further information
	rest, _ := duckdb.NewTypeInfo(duckdb.TYPE_ANY)
	return duckdb.ScalarFuncConfig{InputTypeInfos: []duckdb.TypeInfo{number}, VariadicTypeInfo: rest, ResultTypeInfo: number, Volatile: true, SpecialNullHandling: true}
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

// chunk adds the rows of a chunk, and answers 1 for each.
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
	ones := unsafe.Slice((*int64)(mapping.VectorGetData(result)), rows)
	for i := range ones {
		ones[i] = 1
	}
	return s.Add(rows, columns)
}

// errVector means that the driver is not the one for which this was written.
var errVector = errors.New("the driver's vectors are not as they were")

// vectorOf gives the handle within the driver's vector: the driver reads single values, each of which it wraps anew.
func vectorOf(v duckdb.Vector) (mapping.Vector, error) {
	inner := reflect.ValueOf(v).FieldByName("v")
	if !inner.IsValid() || inner.Kind() != reflect.Pointer || inner.IsNil() {
		return mapping.Vector{}, errVector
	}
	handle := inner.Elem().FieldByName("vec")
	if !handle.IsValid() || handle.Type() != reflect.TypeFor[mapping.Vector]() {
		return mapping.Vector{}, errVector
	}
	return mapping.Vector{Ptr: handle.FieldByName("Ptr").UnsafePointer()}, nil
}

// kinds are DuckDB's types of columns.
var kinds = map[value.Type]mapping.Type{
	value.TypeBool: mapping.TypeBoolean, value.TypeInt: mapping.TypeBigInt, value.TypeFloat: mapping.TypeDouble,
	value.TypeText: mapping.TypeVarchar, value.TypeDate: mapping.TypeDate, value.TypeTimestamp: mapping.TypeTimestamp,
}

// read gives a column of a chunk, as it lies in DuckDB's memory.
func read(v duckdb.Vector, t value.Type, rows int) (stream.Column, error) {
	var c stream.Column
	vector, err := vectorOf(v)
	if err != nil {
		return c, err
	}
	kind := mapping.VectorGetColumnType(vector)
	is := mapping.GetTypeId(kind)
	mapping.DestroyLogicalType(&kind)
	if is != kinds[t] {
		return c, fmt.Errorf("a column of type %d is handed over as %s", is, t)
	}
	if mask := mapping.VectorGetValidity(vector); mask != nil {
		c.Valid = unsafe.Slice((*uint64)(mask), (rows+63)/64)
	}
	data := mapping.VectorGetData(vector)
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

// text is a string of DuckDB: a short one is in its place, of a longer one the first bytes, and where it is.
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

// sum is the SELECT that hands the rows of a SELECT to operator n, and tells how many they were.
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

// errRows means that DuckDB handed over other rows than it read.
var errRows = errors.New("the rows that were added up are not those that were read")

// add runs a SELECT of rows, adds them up by the plan, and calls fn for each group as Query does for the fragment's
// SQL. Where an error is stream.ErrTooMuch nothing was answered, and the fragment is for DuckDB itself.
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
			read, _ = row[0].(int64) // NULL: there are none
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
		if again, err = op.Again(ctx, d.threads()); err != nil {
			return err
		}
	}
	return op.Each(func(keys []value.Value, partials []int64) error { return fn(plan.Row(keys, partials)) })
}

// threads is how many goroutines add up.
func (d *database) threads() int {
	if d.most > 0 {
		return min(d.most, runtime.GOMAXPROCS(0))
	}
	return runtime.GOMAXPROCS(0)
}
