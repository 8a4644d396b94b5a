package enginetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Hospital is the name of every hospital in the suite.
const Hospital = "St. Mary's"

// Engine is the tested interface: node.Engine.
type Engine interface {
	Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error)
	Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
}

// Kind is a kind of engine under test.
type Kind struct {
	// Open opens an engine for the hospital Hospital over a new database with the tables. It is closed with the test.
	Open func(t testing.TB, c *catalog.Catalog, key string, tables ...Table) Engine
	// Tables contain only cells that the engine's types can hold.
	NoNUL      bool // texts with U+0000
	NoInfinity bool // infinite dates and timestamps
	FirstDay   Day  // the first and the last date that it holds; 0: all dates of the suite
	LastDay    Day
	// Narrow: in products and quotients a number nearer to zero than 1e-150 counts as 0, and arithmetic beyond 8.9e307
	// gives NULL. Rows near these limits are not compared.
	Narrow bool
	// Slow: it takes seconds for a statement of nested operations, and minutes for texts of 65,536 characters. The
	// suite then uses less nesting and shorter texts.
	Slow bool
	// Queries scales the number of queries; 0 means 1, which is all of them.
	Queries float64
	// Together is the number of statements of random expressions that run at the same time; 0 means 1.
	Together int
}

// Table is a table to fill. A cell is nil, a bool, int64, float64 (also NaN and the infinities), string, Day or
// Instant, according to the column's type.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]any
}

// Column is a column of a Table.
type Column struct {
	Name string
	Type value.Type
}

// Day is a date in days since 1970-01-01, or one of the infinities.
type Day int64

// Instant is a timestamp in microseconds since 1970-01-01, or one of the infinities.
type Instant int64

// The infinite days and instants.
const (
	PastDay       = Day(math.MinInt64)
	FutureDay     = Day(math.MaxInt64)
	PastInstant   = Instant(math.MinInt64)
	FutureInstant = Instant(math.MaxInt64)
)

// Run runs the suite.
func Run(t *testing.T, k Kind) {
	if k.FirstDay == 0 {
		k.FirstDay, k.LastDay = firstDay, lastDay
	}
	if k.Queries == 0 {
		k.Queries = 1
	}
	k.Together = max(1, k.Together)
	if testing.Short() {
		k.Queries /= 5
	}
	t.Run("expressions", k.expressions)
	t.Run("transcendental", k.transcendental)
	t.Run("heavy", k.heavy)
	t.Run("appearing", k.appearing)
	t.Run("texts", k.texts)
	t.Run("lengths", k.lengths)
	t.Run("nested", k.nested)
	t.Run("deep", k.deep)
	t.Run("bounds", k.bounds)
	t.Run("bounding", k.bounding)
	t.Run("derived", k.derived)
	t.Run("capped", k.capped)
	t.Run("multiplicity", k.multiplicity)
	t.Run("lookups", k.lookups)
	t.Run("parts", k.parts)
	t.Run("empty", k.empty)
	t.Run("send", k.send)
}

// The dates that the suite uses.
const (
	firstDay = -106639487 // 290000-01-01 BC
	lastDay  = 105201162  // 290000-12-31
)

func (k Kind) times(n int) int { return max(1, int(float64(n)*k.Queries)) }

// holds reports whether the engine's types can hold a cell.
func (k Kind) holds(cell any) bool {
	in := func(day int64) bool { return day >= int64(k.FirstDay) && day <= int64(k.LastDay) }
	switch v := cell.(type) {
	case string:
		return !k.NoNUL || !strings.ContainsRune(v, 0)
	case Day:
		if v == PastDay || v == FutureDay {
			return !k.NoInfinity
		}
		return k.FirstDay == firstDay || in(int64(v))
	case Instant:
		if v == PastInstant || v == FutureInstant {
			return !k.NoInfinity
		}
		return k.FirstDay == firstDay || in(int64(v)/86_400_000_000)
	}
	return true
}

// reads returns the value that a column of the catalog reads from a cell: see package engine.
func reads(c *catalog.Column, cell any) value.Value {
	var v value.Value
	switch x := cell.(type) {
	case nil:
		return value.Null(c.Type)
	case bool:
		v = value.Bool(x)
	case int64:
		v = value.Int(x)
	case string:
		v = value.Text(x)
	case Day:
		if v = value.Date(int64(x)); v.IsNull() && c.Lower.Valid() {
			return nearest(c, x > 0)
		}
	case Instant:
		if v = value.Timestamp(int64(x)); v.IsNull() && c.Lower.Valid() {
			return nearest(c, x > 0)
		}
	case float64:
		if math.IsInf(x, 0) && c.Lower.Valid() {
			x = math.Copysign(math.MaxFloat64, x)
		}
		v = value.Float(x)
	default:
		panic(fmt.Sprintf("a cell is a %T", cell))
	}
	if v.IsNull() || !c.Lower.Valid() {
		return v
	}
	if value.Compare(v, c.Lower) < 0 {
		return c.Lower
	}
	if value.Compare(v, c.Upper) > 0 {
		return c.Upper
	}
	return v
}

// nearest returns the bound of a column for a cell beyond all values.
func nearest(c *catalog.Column, above bool) value.Value {
	if above {
		return c.Upper
	}
	return c.Lower
}

// read returns the rows of a table as the catalog reads them, by column.
func read(c *catalog.Catalog, t Table) []map[string]value.Value {
	table, _ := c.Table(t.Name)
	var rows []map[string]value.Value
	for _, cells := range t.Rows {
		row := map[string]value.Value{}
		for i, column := range t.Columns {
			if col, ok := table.Column(column.Name); ok {
				row[col.Name] = reads(col, cells[i])
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Partials runs a fragment and returns its partial aggregates by group, in whole rows and patients, and the keys.
func Partials(t testing.TB, e Engine, c *catalog.Catalog, f *fragment.Fragment) (map[string][]int64, map[string][]value.Value, *fragment.Proof) {
	t.Helper()
	got, keys, p := Exact(t, e, c, f)
	for _, sums := range got {
		at := 0
		for i, partial := range f.Partials {
			for range partial.Width() {
				sums[at] /= p.Units[i]
				at++
			}
		}
	}
	return got, keys, p
}

// Length is the norm of the difference of two answers, as fragment.Proof.NormLimit counts it.
func Length(f *fragment.Fragment, p *fragment.Proof, a, b map[string][]int64) float64 {
	length := 0.0
	both := maps.Clone(a)
	maps.Copy(both, b)
	zero := make([]int64, f.Width())
	for k := range both {
		x, y := zero, zero
		if v, ok := a[k]; ok {
			x = v
		}
		if v, ok := b[k]; ok {
			y = v
		}
		for i, partial := range f.Partials {
			from, to := partial.Coordinates(x[:partial.Width()]), partial.Coordinates(y[:partial.Width()])
			x, y = x[partial.Width():], y[partial.Width():]
			for j := range from {
				v := math.Abs(float64(from[j])-float64(to[j])) / float64(p.Sizes[i])
				if f.Norm == fragment.L2 {
					v *= v
				}
				length += float64(p.NormWeight(f, i)) * v
			}
		}
	}
	return length
}

// Exact runs a fragment and returns its partial aggregates by group, as they are sent, and the keys.
func Exact(t testing.TB, e Engine, c *catalog.Catalog, f *fragment.Fragment) (map[string][]int64, map[string][]value.Value, *fragment.Proof) {
	t.Helper()
	got, keys, p, err := partials(t, e, c, f)
	if err != nil {
		text, _, _ := e.Compile(f, p)
		t.Fatalf("%v: %v\n%s", err, errors.Unwrap(err), text)
	}
	return got, keys, p
}

func partials(t testing.TB, e Engine, c *catalog.Catalog, f *fragment.Fragment) (map[string][]int64, map[string][]value.Value, *fragment.Proof, error) {
	t.Helper()
	f.Version = fragment.Version
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	got, all := map[string][]int64{}, map[string][]value.Value{}
	err = e.Run(t.Context(), f, p, alloc, func(r arrow.Record) error {
		return fragment.ReadRecord(f, r, func(keys []value.Value, partials []int64) error {
			k := keyText(keys)
			if _, twice := got[k]; twice {
				return fmt.Errorf("group %s comes twice", k)
			}
			got[k], all[k] = slices.Clone(partials), slices.Clone(keys)
			return nil
		})
	})
	return got, all, p, err
}

func keyText(keys []value.Value) string {
	var b strings.Builder
	for _, k := range keys {
		if k.IsNull() {
			b.WriteString("NULL|")
			continue
		}
		fmt.Fprintf(&b, "%q|", k.String())
	}
	return b.String()
}
