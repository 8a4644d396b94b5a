package estimate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

// TestRanksAddUp checks that without noise the sums give exactly the number of values below each edge.
func TestRanksAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{4, 9, 100, 256, 1024} {
		counts, ranks := make([]int64, n), NewRanks(n)
		total := 0.0
		for i := range counts {
			counts[i] = int64(r.IntN(1000))
			total += float64(counts[i])
		}
		sums := ranks.Sums(counts)
		read := make([]float64, n)
		for i, x := range sums {
			read[i] = float64(x)
		}
		f, under := ranks.read(read), 0.0
		for i := 0; i <= n; i++ {
			for _, q := range []float64{0, 0.3, 0.5, 1} {
				if got, _ := f.Under(i, q); math.Abs(got-(under-q*total)) > 1e-6*total {
					t.Fatalf("%d buckets: under edge %d are %v, not %v", n, i, got, under-q*total)
				}
			}
			if i < n {
				under += float64(counts[i])
			}
		}
	}
}

// TestRanksMoveByTheirLength checks that c rows, in any buckets, move the sums by at most c times the length, in
// integers.
func TestRanksMoveByTheirLength(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{4, 9, 100, 1024, 4096} {
		ranks := NewRanks(n)
		worst := 0.0
		for range 60 {
			counts, rows := make([]int64, n), 1+r.IntN(20)
			at := r.IntN(n)
			for range rows {
				counts[at]++
				switch r.IntN(3) {
				case 0:
					at = r.IntN(n)
				case 1:
					at = (at + 1) % n
				}
			}
			squares := 0.0
			for _, x := range ranks.Sums(counts) {
				squares += float64(x) * float64(x)
			}
			worst = math.Max(worst, math.Sqrt(squares)/float64(rows)/float64(ranks.Length))
		}
		if worst > 1 || worst < 0.99 {
			t.Errorf("%d buckets: rows move the sums by %v times the length", n, worst)
		}
		one := make([]int64, n) // each bucket by itself
		for _, at := range []int{0, 1, n / 2, n - 1} {
			one[at] = 1
			squares := int64(0)
			for _, x := range ranks.Sums(one) {
				squares += x * x
			}
			if one[at] = 0; squares > ranks.Length*ranks.Length || squares <= (ranks.Length-1)*(ranks.Length-1) {
				t.Errorf("%d buckets: bucket %d has weights of length %v, not %d", n, at, math.Sqrt(float64(squares)), ranks.Length)
			}
		}
	}
}

// TestRanksDoNotOverflow checks that no sum overflows, whatever hospitals send. Counts above the largest that is summed
// do not change the sums.
func TestRanksDoNotOverflow(t *testing.T) {
	for _, n := range []int{4, 4096} {
		ranks, most, beyond := NewRanks(n), make([]int64, n), make([]int64, n)
		for at := range n { // the same sign throughout in the last sum
			most[at], beyond[at] = mostInBucket, math.MaxInt64
			if ranks.weights[n-1-at] < 0 {
				most[at], beyond[at] = -mostInBucket, math.MinInt64
			}
		}
		sums, exact := ranks.Sums(most), 0.0
		for _, w := range ranks.weights {
			exact += math.Abs(float64(w)) * mostInBucket
		}
		if got := float64(sums[n-1]); math.Abs(got-exact) > 1e-9*exact || exact > 1<<62 {
			t.Errorf("%d buckets: a sum is %v, not %v", n, got, exact)
		}
		for i, x := range ranks.Sums(beyond) {
			if x != sums[i] {
				t.Fatalf("%d buckets: sum %d is %d, not %d", n, i, x, sums[i])
			}
		}
	}
}

// TestRanksAreTheBest checks that the noise on each F is the mean of the singular values, as drawn and as stated. No
// linear strategy has less noise at its worst edge.
func TestRanksAreTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{9, 100, 256} {
		ranks, bound := NewRanks(n), 0.0
		for k := range n {
			bound += 1 / math.Sin(math.Pi*float64(2*k+1)/float64(2*n)) / float64(2*n)
		}
		_, told := (&ranked{ranks, make([]float64, n+1)}).Under(n/3, 0.5)
		if told *= float64(ranks.Length); told < bound || told > 1.003*bound {
			t.Errorf("%d buckets: the noise on a rank is %v of that on a count, and %v can be had", n, told, bound)
		}
		const draws = 2000
		for _, q := range []float64{0.5, 0.9} {
			squares := make([]float64, n+1)
			for range draws {
				sums := make([]float64, n)
				for i := range sums {
					sums[i] = r.NormFloat64()
				}
				f := ranks.read(sums)
				for i := range squares {
					x, deviation := f.Under(i, q)
					squares[i] += x * x / deviation / deviation / draws
				}
			}
			for i, x := range squares {
				if math.Abs(x-1) > 6*math.Sqrt(2.0/draws) {
					t.Errorf("%d buckets, edge %d, share %v: the variance of the noise is %v times what is told", n, i, q, x)
				}
			}
		}
	}
}

// TestRankedTree checks quantiles and extremes of ranks with almost no noise.
func TestRankedTree(t *testing.T) {
	b := fragment.Buckets{Lower: 0, Upper: 100, Branching: 16, Levels: 2}
	ranks, counts := NewRanks(b.Leaves()), make([]int64, b.Leaves())
	for i := range 1001 {
		counts[b.Leaf(20+float64(i)/20)]++ // from 20 to 70
	}
	tree := NewRanked(b, ranks, 1, ranks.Sums(counts), dp.Distribution{Mechanism: dp.Gaussian, Scale: 0.01 * float64(ranks.Length)})
	for q, want := range map[float64]float64{0.1: 25, 0.5: 45, 0.9: 65} {
		if x, low, high := tree.Quantile(q, 0.95); math.Abs(x-want) > 0.1 || low > want || high < want || high-low > 3*b.Width() {
			t.Errorf("quantile %v is %v in [%v, %v]", q, x, low, high)
		}
	}
	if x, low, high := tree.Extreme(false, 0.95); math.Abs(x-20) > b.Width() || low != 0 || high != x {
		t.Errorf("the minimum is %v in [%v, %v]", x, low, high)
	}
	if x, low, high := tree.Extreme(true, 0.95); math.Abs(x-70) > b.Width() || high != 100 || low != x {
		t.Errorf("the maximum is %v in [%v, %v]", x, low, high)
	}
	if math.Abs(tree.Total()-1001) > 0.01 {
		t.Errorf("there are %v in all", tree.Total())
	}
}
