package fragment

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/audit"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// namesFragment has a sum, a count of patients and a tree, by a key that declares its values and one that does not.
func namesFragment() (*Fragment, *Proof) {
	f := &Fragment{
		Norm: L2, MaxGroups: 1, MaxRows: 1,
		Keys: []Key{
			{Expr: expr.Column("t", "sex", value.TypeText), Domain: []value.Value{value.Text("f"), value.Text("m")}},
			{Expr: expr.Column("t", "city", value.TypeText)},
		},
		Partials: []Partial{
			{Kind: PartialSum, Expr: expr.Column("t", "days", value.TypeInt), Grid: &Grid{Lower: -500, Upper: 500}}, {Kind: PartialPatients},
			{Kind: PartialBuckets, Expr: expr.Column("t", "days", value.TypeInt), Buckets: &Buckets{Lower: 0, Upper: 4, Branching: 2, Levels: 2}},
		},
	}
	return f, &Proof{Sizes: []int64{500, 8, 1}, Units: []int64{1, 8, 1}, Groups: 1, Rows: 1}
}

func namesNoise(f *Fragment, p *Proof, epsilon float64) dp.Noise {
	return dp.Noise{Mechanism: dp.Gaussian, Epsilon: epsilon, Limit: p.NormLimit(f)}
}

type naming struct {
	*Naming
	shares []*dp.Share
}

func namesOf(t testing.TB, f *Fragment, c Cover, n dp.Noise, p *Proof, hospitals int) naming {
	t.Helper()
	by, err := f.Naming(c, n, 1e-4, p)
	if err != nil {
		t.Fatal(err)
	}
	shares, err := f.Shares(c, hospitals, n, p)
	if err != nil {
		t.Fatal(err)
	}
	return naming{by, shares}
}

func numbers(t testing.TB, s *Sparse, by naming, asked [][]value.Value) []int64 {
	t.Helper()
	vector, err := s.Covered(t.Context(), by.Naming, by.shares, asked)
	if err != nil {
		t.Fatal(err)
	}
	return vector
}

func group(sex, city string) []value.Value { return []value.Value{value.Text(sex), value.Text(city)} }

// A hospital names groups that it has, by the noisy number that it then sends. So for each requested group, named or
// not, that number is above the threshold exactly if the group was named. Nobody sees two draws of one number.
func TestNamesAreReadOffWhatIsSent(t *testing.T) {
	f, proof := namesFragment()
	by := namesOf(t, f, Cover{Sites: 2, Names: true}, namesNoise(f, proof, 1), proof, 1)
	counts := map[string]int64{"empty": 0, "few": 8, "some": by.Threshold, "many": 100 * by.Threshold}
	asked := [][]value.Value{group("f", "absent"), group("m", "many")}
	for city := range counts {
		asked = append(asked, group("f", city))
	}
	SortGroups(asked)
	named := map[string]int{}
	const runs = 200
	for range runs {
		s := NewSparse(f, proof)
		for city, n := range counts {
			for _, part := range []int64{n / 2, n - n/2} { // in two records
				if err := s.Add(coverRecord(t, f, group("f", city), []int64{-3, part, 1, 2, 3, 4})); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Add(coverRecord(t, f, group("x", "many"), []int64{1, 1 << 20, 1, 2, 3, 4})); err != nil {
			t.Fatal(err) // the value is not declared
		}
		names := map[string]bool{}
		own := s.Names(by.Naming)
		for _, keys := range own {
			names[keys[0].Str()+keys[1].Str()] = true
			named[keys[0].Str()+keys[1].Str()]++
		}
		if !slices.IsSortedFunc(own, func(a, b []value.Value) int { return strings.Compare(GroupID(a), GroupID(b)) }) {
			t.Fatal("names are in no order")
		}
		vector := numbers(t, s, by, asked)
		if len(vector) != len(asked)*f.Released() {
			t.Fatalf("%d numbers", len(vector))
		}
		for i, keys := range asked {
			at := vector[i*f.Released():]
			if keys[0].Str() == "f" && keys[1].Str() != "absent" && keys[1].Str() != "empty" {
				if above := by.shares[1].Read(at[1]) >= by.Threshold; above != names["f"+keys[1].Str()] {
					t.Fatalf("%v is sent with %d, threshold %d, and named %v", keys, by.shares[1].Read(at[1]), by.Threshold, !above)
				}
			}
		}
	}
	if named["fmany"] != runs || named["ffew"] > runs/20 || named["fabsent"]+named["xmany"]+named["fempty"]+named["mmany"] > 0 || named["fsome"] < runs/4 || named["fsome"] > 3*runs/4 {
		t.Errorf("of %d runs were named: %v", runs, named)
	}
}

// Every number of every requested group has noise of its share's width, whether the hospital has the group or not.
func TestNamedGroupsAreCovered(t *testing.T) {
	f, proof := namesFragment()
	noise := namesNoise(f, proof, 1)
	for _, c := range []Cover{{Sites: 2, Names: true}, {Sites: 1, Names: true, Colluders: 1, Among: []string{"a", "b", "c", "d"}}} {
		hospitals := 1
		if c.Masked() {
			hospitals = 4
		}
		by := namesOf(t, f, c, noise, proof, hospitals)
		asked := [][]value.Value{group("f", "absent"), group("m", "lyon")}
		SortGroups(asked)
		exact := []int64{0, 0, 0, 0, 0, 0, 0, 0, 0}
		copy(exact, []int64{70, 40})
		const runs = 600
		squares := make([]float64, 2*f.Released())
		for range runs {
			s := NewSparse(f, proof)
			if err := s.Add(coverRecord(t, f, group("m", "lyon"), []int64{70, 40, 1, 2, 3, 4})); err != nil {
				t.Fatal(err)
			}
			s.Names(by.Naming)
			for i, y := range numbers(t, s, by, asked) {
				partial := min(i%f.Released(), 2)
				want := []int64{0, 0, 0, 0, 0, 0, 0, 0, 70, 40, 3, 7, 1, 2, 3, 4}[i]
				if asked[0][0].Str() == "m" {
					want = []int64{70, 40, 3, 7, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0}[i]
				}
				x := math.Ldexp(float64(y), -int(by.shares[partial].Shift())) - float64(want)
				squares[i] += x * x / runs
			}
		}
		for i, v := range squares {
			scale := by.shares[min(i%f.Released(), 2)].Total(1).Scale
			if r := v / scale / scale; r < 0.6 || r > 1.5 {
				t.Errorf("%+v: number %d has %g of the variance it should have", c, i, r)
			}
		}
	}
}

// If names are a release of their own, names and numbers together cost no more than the whole. The numbers have new
// noise, so a name tells nothing of it.
func TestNamesOfTheirOwn(t *testing.T) {
	f, proof := namesFragment()
	c := Cover{Sites: 1, Names: true, Colluders: 1, Among: []string{"a", "b", "c", "d"}}
	for _, epsilon := range []float64{0.001, 0.1, 0.3, 1, 7.3, 1000} {
		names, numbers := c.Parts(dp.Noise{Mechanism: dp.Gaussian, Epsilon: epsilon, Limit: 5})
		a, err := names.Loss(1e-9)
		if err != nil {
			t.Fatal(err)
		}
		b, err := numbers.Loss(0)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := dp.Noise{Mechanism: dp.Gaussian, Epsilon: epsilon, Limit: 5}.Loss(1e-9)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := a.Plus(b); err != nil || !dp.ZCDP.Cheaper(sum, whole) && sum != whole {
			t.Errorf("epsilon %g: the parts cost %+v, the whole %+v", epsilon, sum, whole)
		}
	}
	by := namesOf(t, f, c, namesNoise(f, proof, 1), proof, 4)
	product, a, b := 0.0, 0.0, 0.0
	for range 2000 {
		s := NewSparse(f, proof)
		if err := s.Add(coverRecord(t, f, group("f", "lyon"), []int64{0, by.Threshold, 0, 0, 0, 0})); err != nil {
			t.Fatal(err)
		}
		x := -1.0
		if len(s.Names(by.Naming)) == 1 {
			x = 1
		}
		y := math.Ldexp(float64(numbers(t, s, by, [][]value.Value{group("f", "lyon")})[1]), -int(by.shares[1].Shift())) - float64(by.Threshold)
		product, a, b = product+x*y, a+x*x, b+y*y
	}
	if r := product / math.Sqrt(a*b); math.Abs(r) > 6.5/math.Sqrt(2000) {
		t.Errorf("being named is correlated by %g with the number that is sent", r)
	}
}

// A seized coordinator asks for a group of few patients, named or not, and keeps the names and the numbers. It learns
// no more than the price and the threshold's delta. The audit detects noise a fifth too narrow, and a number that is
// drawn twice.
func TestAuditNames(t *testing.T) {
	f, proof := namesFragment()
	f.Partials, proof.Sizes, proof.Units = f.Partials[1:2], []int64{1}, []int64{1}
	noise := namesNoise(f, proof, 1)
	c := Cover{Sites: 1, Names: true}
	asked := [][]value.Value{group("f", "alone")}
	const delta = 1e-4
	seen := func(n dp.Noise, again bool) audit.Score {
		honest, err := f.Naming(c, noise, delta, proof)
		if err != nil {
			t.Fatal(err)
		}
		by := namesOf(t, f, c, n, proof, 1)
		by.Threshold = honest.Threshold
		return func(with bool) float64 {
			s := NewSparse(f, proof)
			x := int64(3)
			if with {
				x++
			}
			if err := s.Add(coverRecord(t, f, group("f", "alone"), []int64{x})); err != nil {
				t.Fatal(err)
			}
			score := 0.0
			s.Names(by.Naming)
			score += float64(numbers(t, s, by, asked)[0])
			if again {
				s.Names(by.Naming) // a second draw of the noise
				score += float64(numbers(t, s, by, asked)[0])
			}
			return score
		}
	}
	// Gaussian noise of sigma 1 is (1, 0.1269)-private (Balle & Wang 2018, Theorem 8).
	narrow := noise
	narrow.Epsilon = audit.Narrow(t, noise.Epsilon, func(epsilon float64) float64 {
		n := noise
		n.Epsilon = epsilon
		share, err := n.Share(f.Coordinate(proof, 1, 0), dp.Shares{Sites: 1, Honest: 1})
		if err != nil {
			t.Fatal(err)
		}
		return share.Total(1).Scale
	})
	audit.Expect(t, audit.Draws(60_000), 1, 0.1269+delta, seen(noise, false), seen(narrow, false))
	if got := audit.AtLeast(60_000, 0.1269+delta, seen(noise, true)); got <= 1 {
		t.Errorf("a second draw of the same number goes unseen: at least %.3f", got)
	}
}

// A group that only one patient has is named with probability at most delta.
func TestNamesOfOne(t *testing.T) {
	f, proof := namesFragment()
	c, noise := Cover{Sites: 1, Names: true}, namesNoise(f, proof, 1)
	const delta, runs = 0.05, 20_000
	by, err := f.Naming(c, noise, delta, proof)
	if err != nil {
		t.Fatal(err)
	}
	count := func(threshold int64) (named int) {
		low := *by
		low.Threshold = threshold
		for range runs {
			s := NewSparse(f, proof)
			if err := s.Add(coverRecord(t, f, group("f", "alone"), []int64{0, proof.Units[1], 0, 0, 0, 0})); err != nil {
				t.Fatal(err)
			}
			named += len(s.Names(&low))
		}
		return named
	}
	if n := count(by.Threshold); float64(n)/runs > delta+6.5*math.Sqrt(delta/runs) {
		t.Errorf("the group of one patient was named %d times in %d", n, runs)
	}
	if n := count(1); float64(n)/runs <= delta+6.5*math.Sqrt(delta/runs) {
		t.Errorf("with a threshold of one it was named %d times in %d", n, runs)
	}
}

// An answer of too many groups fails before it uses up the hospital's memory.
func TestSparseIsBounded(t *testing.T) {
	f, proof := namesFragment()
	s := NewSparse(f, proof)
	s.held = mostSparse - 3*f.Width()
	if err := s.Add(coverRecord(t, f, group("f", "lyon"), []int64{1, 8, 0, 0, 0, 0})); !errors.Is(err, ErrTooMany) {
		t.Errorf("%v", err)
	}
}

func TestNamesTravel(t *testing.T) {
	f, _ := namesFragment()
	var all [][]value.Value
	for i := range 20_000 {
		all = append(all, group([]string{"f", "m"}[i%2], fmt.Sprint("Ω ", i)))
	}
	all = append(all, []value.Value{value.Text("f"), value.Null(value.TypeText)})
	SortGroups(all)
	read := func(messages ...[]byte) ([][]value.Value, error) {
		return f.ReadNames(func() ([]byte, error) {
			if len(messages) == 0 {
				return nil, errors.New("the end")
			}
			b := messages[0]
			messages = messages[1:]
			return b, nil
		})
	}
	for _, groups := range [][][]value.Value{all, nil, all[:1]} {
		var sent [][]byte
		if err := WriteNames(groups, func(b []byte) error { sent = append(sent, b); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(groups) > 1000 && len(sent) < 2 {
			t.Errorf("%d messages", len(sent))
		}
		got, err := read(sent...)
		if err != nil || len(got) != len(groups) {
			t.Fatal(len(got), err)
		}
		for i := range got {
			if GroupID(got[i]) != GroupID(groups[i]) {
				t.Fatalf("%v came as %v", groups[i], got[i])
			}
		}
	}
	encode := func(more bool, groups ...[]value.Value) []byte {
		b, err := json.Marshal(named{groups, more})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a, b := group("f", "a"), group("f", "b")
	for name, messages := range map[string][][]byte{
		"nothing": {nil}, "no list": {[]byte("[]")}, "twice": {encode(false, a, a)}, "in another order": {encode(false, b, a)},
		"in another order, over messages": {encode(true, b), encode(false, a)}, "a value that is not declared": {encode(false, group("x", "a"))},
		"too few keys": {encode(false, a[:1])}, "too many": {encode(false, append(slices.Clone(a), a...))}, "another type": {encode(false, []value.Value{value.Text("f"), value.Int(3)})},
		"nothing, and more": {encode(true)}, "an unknown field": {[]byte(`{"groups":[],"x":1}`)}, "more after": {[]byte(`{"groups":[]}{}`)},
	} {
		if got, err := read(messages...); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := read(encode(true, a)); err == nil || errors.Is(err, ErrRecord) {
		t.Errorf("a line that breaks: %v", err)
	}
	wide, _ := namesFragment()
	wide.Partials[2].Buckets.Levels = 20
	if _, err := wide.ReadNames(func() ([]byte, error) { return encode(false, a, b, group("m", "a"), group("m", "b")), nil }); !errors.Is(err, ErrRecord) {
		t.Errorf("more than can be covered: %v", err)
	}
}

func FuzzReadNames(f *testing.F) {
	of, _ := namesFragment()
	f.Add([]byte(`{"groups":[[{"type":"text","value":"f"},{"type":"text"}]]}`))
	f.Add([]byte(`{"groups":[[{"type":"text","value":"f"},{"type":"int","value":"3"}]],"more":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		end := false
		groups, err := of.ReadNames(func() ([]byte, error) {
			if end {
				return nil, errors.New("the end")
			}
			end = true
			return b, nil
		})
		if err != nil {
			return
		}
		for i, keys := range groups {
			if i > 0 && GroupID(groups[i-1]) >= GroupID(keys) || len(keys) != 2 {
				t.Errorf("%q gives %v", b, groups)
			}
		}
	})
}

// TestPresenceOfHostileShares: with these shares, eight times the norm of a patient exceeds 64 bits. Then there is no
// threshold; an overflow would give the threshold of a patient who makes few groups appear.
func TestPresenceOfHostileShares(t *testing.T) {
	f := &Fragment{Norm: L2, Partials: []Partial{{Kind: PartialPatients}, {Kind: PartialBeyond, Of: PartialPatients, Most: 1, Share: MaxShare}}}
	for range 10 {
		f.Partials = append(f.Partials, Partial{Kind: PartialRows, Share: MaxShare})
	}
	f.Partials = append(f.Partials, Partial{Kind: PartialRows, Share: 14_736})
	most := int64(1)<<32 + 1
	f.Partials = append(f.Partials, Partial{Kind: PartialBuckets, Buckets: &Buckets{Upper: 1, Branching: 2, Levels: 1}, Share: int(most - f.Weight())})
	p := &Proof{Groups: 1 << 19, Units: []int64{1 << 10}}
	if f.Weight() != most || f.Partials[13].Share > MaxShare || p.NormLimit(f) > 1<<53 {
		t.Fatalf("the weight is %d, a share %d, the norm %d", f.Weight(), f.Partials[13].Share, p.NormLimit(f))
	}
	if at := p.Presence(f, 1, 0); at.Reach < 1<<62 {
		t.Errorf("the parts of a patient add up to %d at most", at.Reach)
	}
}
