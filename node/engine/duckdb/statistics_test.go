package duckdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// TestStatisticsThatLie uses a Parquet footer that says that a column is within its bounds, although one row is not.
// The engine trusts footers and simplifies computations by them. What enters a sum must still be bounded.
func TestStatisticsThatLie(t *testing.T) {
	const whole, real = int64(123456789), 123456789.5
	folder := t.TempDir()
	file := filepath.Join(folder, "person.parquet")
	newDatabase(t, "COPY (SELECT range AS id, CASE WHEN range = 7 THEN 123456789 ELSE range % 100 END AS age, "+
		"CASE WHEN range = 7 THEN 123456789.5::DOUBLE ELSE (range % 100)::DOUBLE END AS x FROM range(1000)) TO '"+file+"' (FORMAT parquet, COMPRESSION uncompressed)")
	rewriteFooter(t, file, map[uint64]uint64{uint64(whole): 99, math.Float64bits(real): math.Float64bits(99)})
	c := testcatalog.Parse(t, `
catalog: lie
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      age: {type: int, bounds: [0, 120]}
      x: {type: float, bounds: [0, 120]}
`)
	e, err := Open(context.Background(), Config{Folder: folder}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	x := expr.Column("p", "x", value.TypeFloat)
	// The only row of a patient, and rows that may be several: those of a patient twice.
	twice := &fragment.Query{SetOp: fragment.SetOpUnionAll, Patient: "id"}
	for range 2 {
		input := &fragment.Query{Relations: persons, Patient: "id"}
		for _, e := range []*expr.Expr{pID, pAge, x} {
			input.Columns = append(input.Columns, fragment.Output{Name: e.Column, Expr: e})
		}
		twice.Inputs = append(twice.Inputs, input)
	}
	for _, relations := range [][]fragment.Relation{persons, {{Name: "p", Query: twice}}} {
		within(t, e, c, x, relations)
	}
}

// within fails if a patient's part exceeds what is declared.
func within(t *testing.T, e *Engine, c *catalog.Catalog, x *expr.Expr, relations []fragment.Relation) {
	t.Helper()
	f := &fragment.Fragment{Relations: relations, Patient: pID, Keys: []fragment.Key{{Expr: pID}}, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1}
	for _, of := range []*expr.Expr{pAge, op(expr.OpAdd, pAge, expr.Literal(value.Int(1))), x, op(expr.OpAdd, x, expr.Literal(value.Float(1)))} {
		for _, centered := range []bool{false, true} {
			g, err := fragment.NewGrid(0, 121, of.Type == value.TypeInt, centered, 1)
			if err != nil {
				t.Fatal(err)
			}
			f.Partials = append(f.Partials, fragment.Partial{Kind: fragment.PartialSum, Expr: of, Grid: &g})
		}
		f.Partials = append(f.Partials,
			fragment.Partial{Kind: fragment.PartialBuckets, Expr: of, Buckets: &fragment.Buckets{Lower: 0, Upper: 121, Branching: 11, Levels: 2}},
			fragment.Partial{Kind: fragment.PartialBuckets, Expr: of, Buckets: &fragment.Buckets{Lower: 0, Upper: 120, Branching: 4, Levels: 1}})
	}
	got, _, p := enginetest.Exact(t, e, c, f)
	for patient, sums := range got {
		if length := enginetest.Length(f, p, map[string][]int64{"": sums}, nil); length > float64(p.NormLimit(f))*(1+1e-12) {
			t.Errorf("patient %s: %v is %g long, more than %d", patient, sums, length, p.NormLimit(f))
		}
	}
}

// rewriteFooter changes numbers in the statistics of a Parquet file.
func rewriteFooter(t *testing.T, file string, lies map[uint64]uint64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	footer := b[len(b)-8-int(binary.LittleEndian.Uint32(b[len(b)-8:])):]
	for truth, lie := range lies {
		was, is := binary.LittleEndian.AppendUint64(nil, truth), binary.LittleEndian.AppendUint64(nil, lie)
		if bytes.Count(footer, was) == 0 {
			t.Fatal("the footer has no statistics")
		}
		copy(footer, bytes.ReplaceAll(footer, was, is))
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestGroupsThatLie uses a patient's id and a group value outside the footer's range. Both must be read exactly.
// Grouping by numbers of a small range must not fail or confuse them with others.
func TestGroupsThatLie(t *testing.T) {
	const far = 1 << 32
	event := fragment.Relation{Name: "e", Table: "event"}
	id, k, n := expr.Column("e", "id", value.TypeInt), expr.Column("e", "k", value.TypeInt), expr.Column("e", "n", value.TypeInt)
	join := fragment.Relation{Name: "f", Table: "event", Join: fragment.JoinInner, On: op(expr.OpEqual, id, expr.Column("f", "id", value.TypeInt))}
	all := []map[string]map[string][]int64{}
	for _, lies := range []map[uint64]uint64{nil, {130: 7}, {130: 2}, {far: 9}, {130: 1, far: 9}} {
		folder := t.TempDir()
		file := filepath.Join(folder, "event.parquet")
		newDatabase(t, "COPY (SELECT unnest([1, 2, 3, 129, 130])::BIGINT AS id, range % 3 AS k, CASE WHEN range = 0 THEN 4294967296 ELSE range END AS n FROM range(10)) TO '"+file+
			"' (FORMAT parquet, COMPRESSION uncompressed)")
		rewriteFooter(t, file, lies)
		c := testcatalog.Parse(t, `
catalog: lie
tables:
  event:
    patient: id
    columns:
      id: {type: int, nullable: false}
      k: {type: int, bounds: [0, 120]}
      n: {type: int}
`)
		e, err := Open(context.Background(), Config{Folder: folder}, c, enginetest.Hospital, testKey)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		got := map[string]map[string][]int64{}
		for _, key := range []*expr.Expr{id, k, n} {
			for _, relations := range [][]fragment.Relation{{event}, {event, join}} {
				f := &fragment.Fragment{Relations: relations, Patient: id, Keys: []fragment.Key{{Expr: key}}, Norm: fragment.L2, MaxGroups: 30, MaxRows: 1000,
					Partials: []fragment.Partial{{Kind: fragment.PartialRows}, {Kind: fragment.PartialPatients}}}
				for way, h := range map[string]enginetest.Engine{"streamed": e, "compiled": compiled{e}} {
					sums, _, _ := enginetest.Exact(t, h, c, f)
					got[fmt.Sprintf("%s of %d relations by %s", way, len(relations), key)] = sums
				}
			}
		}
		all = append(all, got)
		if diff := cmp.Diff(all[0], got); diff != "" {
			t.Errorf("the footer says %v: %s", lies, diff)
		}
	}
}
