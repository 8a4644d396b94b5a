package fragment

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// coverFragment has 2 × 2 groups of a count of weight 2, a sum, and a tree of 3 + 9 counts.
func coverFragment() (*Fragment, *Proof) {
	f := &Fragment{
		Keys: []Key{
			{Expr: expr.Column("t", "sex", value.TypeText), Domain: []value.Value{value.Text("f"), value.Text("m")}},
			{Expr: expr.Column("t", "alive", value.TypeBool), Domain: []value.Value{value.Bool(true), value.Null(value.TypeBool)}},
		},
		Partials: []Partial{
			{Kind: PartialPatients, Share: 2}, {Kind: PartialSum},
			{Kind: PartialBuckets, Buckets: &Buckets{Lower: 0, Upper: 9, Branching: 3, Levels: 2}},
		},
	}
	return f, &Proof{Sizes: []int64{1, 500, 2}, Cells: 4, Groups: 2}
}

func coverRecord(t *testing.T, f *Fragment, keys []value.Value, partials []int64) arrow.Record {
	t.Helper()
	b := array.NewRecordBuilder(memory.NewGoAllocator(), f.Schema())
	defer b.Release()
	AppendRow(b, keys, partials)
	return b.NewRecord()
}

// Every number of the vector, and each count of each level of a tree, has its own noise of its share's width. That is
// so in empty groups too.
func TestCoverReachesEveryNumber(t *testing.T) {
	f, proof := coverFragment()
	cover, noise := Cover{Sites: 2}, dp.Noise{Mechanism: dp.Gaussian, Epsilon: 1, Limit: 2 * 5}
	shares, err := f.Shares(cover, 2, noise, proof)
	if err != nil {
		t.Fatal(err)
	}
	leaves := []int64{1, 2, 3, 40, 50, 60, 700, 800, 900}
	exact := NewDense(f)
	for range 2 { // one group in two records
		r := coverRecord(t, f, []value.Value{value.Text("m"), value.Null(value.TypeBool)}, append([]int64{7, -70}, leaves...))
		if err := exact.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := exact.Add(coverRecord(t, f, []value.Value{value.Text("x"), value.Bool(true)}, make([]int64, 11))); err != nil {
		t.Fatal(err) // the group is not declared
	}
	empty := make([]float64, 14)
	want := append(append(append(append([]float64{}, empty...), empty...), empty...), // the groups f true, f NULL, m true
		14, -140, 12, 300, 4800, 2, 4, 6, 80, 100, 120, 1400, 1600, 1800)
	var wide []float64
	for range 4 {
		wide = append(wide, 1/math.Sqrt(2), 500/math.Sqrt(2)) // patients have weight 2; the other numbers have weight 1 for each of 2 groups
		for range 12 {
			wide = append(wide, 2/math.Sqrt(2))
		}
	}
	const runs = 400
	sums, squares := make([]float64, len(want)), make([]float64, len(want))
	for range runs {
		covered, err := exact.Covered(t.Context(), shares)
		if err != nil {
			t.Fatal(err)
		}
		if len(covered) != len(want) {
			t.Fatalf("%d numbers, not %d", len(covered), len(want))
		}
		for i, y := range covered {
			partial := min(i%14, 2)
			x := math.Ldexp(float64(y), -int(shares[partial].Shift())) - want[i]
			sums[i] += x / runs
			squares[i] += x * x / runs
		}
	}
	for i := range want {
		sigma := wide[i] * math.Sqrt(2*10) // sqrt(sites limit)/epsilon
		if math.Abs(sums[i]) > 6*sigma/math.Sqrt(runs) {
			t.Errorf("number %d is %g off, with noise of %g", i, sums[i], sigma)
		}
		if r := squares[i] / sigma / sigma; r < 0.6 || r > 1.5 {
			t.Errorf("number %d has %g of the variance it should have", i, r)
		}
	}
}

// Adding noise to a long vector ends when its context ends.
func TestCoveringEnds(t *testing.T) {
	f, proof := coverFragment()
	shares, err := f.Shares(Cover{Sites: 2}, 2, dp.Noise{Mechanism: dp.Gaussian, Epsilon: 1, Limit: 2 * 5}, proof)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := NewDense(f).Covered(ctx, shares); err == nil || v != nil {
		t.Errorf("%v, %v", v, err)
	}
}

func TestSharesOfWhatCannotBeCovered(t *testing.T) {
	f, proof := coverFragment()
	noise := dp.Noise{Mechanism: dp.Gaussian, Epsilon: 1, Limit: 10}
	undeclared, large := *proof, *proof
	undeclared.Cells, large.Cells = 0, MaxCovered
	for name, try := range map[string]func() ([]*dp.Share, error){
		"undeclared": func() ([]*dp.Share, error) { return f.Shares(Cover{Sites: 2}, 2, noise, &undeclared) },
		"too large":  func() ([]*dp.Share, error) { return f.Shares(Cover{Sites: 2}, 2, noise, &large) },
		"no site":    func() ([]*dp.Share, error) { return f.Shares(Cover{}, 2, noise, proof) },
		"Laplace": func() ([]*dp.Share, error) {
			return f.Shares(Cover{Sites: 2}, 2, dp.Noise{Mechanism: dp.Laplace, Epsilon: 1, Limit: 10}, proof)
		},
	} {
		if shares, err := try(); err == nil || shares != nil {
			t.Errorf("%s: %v", name, shares)
		}
	}
}

func TestCoveredTravels(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	vector := make([]int64, coveredBatch+5)
	for i := range vector {
		vector[i] = int64(i) - math.MaxInt64
	}
	var got []int64
	records := 0
	if err := WriteCovered(vector, alloc, func(r arrow.Record) (err error) {
		records++
		got, err = ReadCovered(r, got, len(vector))
		return err
	}); err != nil || records != 2 || !cmp.Equal(got, vector) {
		t.Errorf("%v, in %d records", err, records)
	}
	// Two records are refused: one with one number too many, and one of another form.
	err := WriteCovered(vector, alloc, func(r arrow.Record) error {
		_, err := ReadCovered(r, nil, coveredBatch-1)
		return err
	})
	if !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
	f, _ := coverFragment()
	r := coverRecord(t, f, []value.Value{value.Text("m"), value.Bool(true)}, make([]int64, 11))
	if _, err := ReadCovered(r, nil, 100); !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
	nulls := array.NewRecordBuilder(memory.NewGoAllocator(), CoveredSchema())
	nulls.Field(0).AppendNull()
	if _, err := ReadCovered(nulls.NewRecord(), nil, 100); !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
}
