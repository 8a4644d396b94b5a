package dp

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/audit"
)

// kolmogorov is the Kolmogorov-Smirnov distance between draws, in any order, and a distribution rounded to integers.
func kolmogorov(draws []int64, d Distribution) float64 {
	slices.Sort(draws)
	worst, n := 0.0, float64(len(draws))
	for i, x := range draws {
		if i+1 < len(draws) && draws[i+1] == x {
			continue
		}
		worst = math.Max(worst, math.Abs(float64(i+1)/n-d.CDF(float64(x)+0.5)))
	}
	return worst
}

func varianceOf(draws []int64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range draws {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	n := float64(len(draws))
	return squares/n - sum/n*sum/n
}

// The sum of the hospitals' shares has the distribution that Total reports, for each number of hospitals, of sites of a
// patient, of honest shares, and for each weight. Its error beside that of central noise is as the formula says.
func TestTotalsOfShares(t *testing.T) {
	const draws = 4_000
	limit := math.Sqrt(math.Log(2/falseAlarm)/2) / math.Sqrt(draws) // Dvoretzky, Kiefer, Wolfowitz; Massart 1990
	for _, hospitals := range []int{1, 2, 3, 10} {
		for _, sites := range []int{1, 2, 3, 10} {
			for _, honest := range []int{1, 2, 7} {
				for _, weight := range []int64{1, 4} {
					if sites > hospitals || honest > hospitals {
						continue
					}
					name := fmt.Sprintf("%d hospitals, a patient at %d, %d count, weight %d", hospitals, sites, honest, weight)
					noise := Noise{Mechanism: Gaussian, Epsilon: 0.5, Limit: 5}
					c := Coordinate{Size: 3 * int64(sites), Weight: weight}
					share, err := noise.Share(c, Shares{sites, honest})
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					totals := make([]int64, draws)
					for i := range totals {
						var sum int64
						for h := range hospitals {
							sum += share.Cover(int64(100 * h))
						}
						totals[i] = share.Read(sum) - int64(50*hospitals*(hospitals-1))
					}
					want := share.Total(hospitals)
					central := noise.Distribution(c).Scale
					if r := want.Scale / central / math.Sqrt(float64(hospitals)/float64(max(sites, honest))); math.Abs(r-1) > 1e-3 {
						t.Errorf("%s: the error beside central noise is %g times what the formula says", name, r)
					}
					if d := kolmogorov(totals, want); d > limit {
						t.Errorf("%s: Kolmogorov-Smirnov distance %.4f, above %.4f", name, d, limit)
					}
					// The variance of a sample variance of normal numbers is 2/(n-1); the limit is 6.5 deviations.
					if v := varianceOf(totals) / (want.Scale*want.Scale + 1.0/12); math.Abs(v-1) > 6.5*math.Sqrt(2.0/draws) {
						t.Errorf("%s: variance %.3f of what it should be", name, v)
					}
				}
			}
		}
	}
}

// The two checks of TestTotalsOfShares detect noise a tenth too narrow.
func TestNarrowTotalsAreCaught(t *testing.T) {
	share, err := Noise{Mechanism: Gaussian, Epsilon: 0.5, Limit: 5}.Share(Coordinate{Size: 6, Weight: 1}, Shares{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	totals := make([]int64, 4_000)
	for i := range totals {
		totals[i] = share.Read(share.Cover(0)*8/10 + share.Cover(0)*8/10)
	}
	if d := kolmogorov(totals, share.Total(2)); d < math.Sqrt(math.Log(2/falseAlarm)/2)/math.Sqrt(4_000) {
		t.Errorf("noise a fifth too narrow has distance %g", d)
	}
}

// This test computes in whole numbers. If each share is seen by itself, a patient at k hospitals loses at most max(1,
// H/m) times rho by all of them. If only the sum of the honest shares is seen, the loss is at most rho.
func TestSharesCover(t *testing.T) {
	for _, epsilon := range []float64{0.01, 0.1, 1, 7.3, 100} {
		for _, bound := range []int64{1, 1024, 1<<24 + 1, 1 << 35} {
			for _, s := range []Shares{{1, 1}, {2, 1}, {2, 7}, {3, 2}, {10, 1}, {10, 7}, {1024, 1}} {
				n, c := Noise{Mechanism: Gaussian, Epsilon: epsilon, Limit: 6}, Coordinate{Size: bound * int64(s.Sites), Weight: 2}
				var got uint64
				share, err := n.share(func(sigma uint64) int64 { got = sigma; return 0 }, c, s)
				if errors.Is(err, ErrSensitivity) && bound > 1<<24 {
					continue
				}
				if err != nil {
					t.Fatal(epsilon, bound, s, err)
				}
				if x := share.Cover(5); x != 5<<share.Shift() || share.Read(x) != 5 {
					t.Errorf("5 becomes %d at shift %d", x, share.Shift())
				}
				// One hospital's loss is at most b² L0/(2 w v), and rho is epsilon²/2. So for m hospitals m b² L0
				// 4^shift/(w sigma²) <= epsilon² max(1, H/m).
				e, _ := new(big.Rat).SetString(fmt.Sprint(epsilon))
				most := new(big.Rat).Mul(e, e)
				most.Mul(most, big.NewRat(int64(max(s.Sites, s.Honest)), int64(s.Sites)))
				loss := new(big.Rat).SetInt64(int64(s.Sites))
				grid := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(bound), share.Shift()))
				loss.Mul(loss, grid).Mul(loss, grid).Mul(loss, big.NewRat(6, 2))
				sigma := new(big.Rat).SetInt(new(big.Int).SetUint64(got))
				loss.Quo(loss, sigma).Quo(loss, sigma)
				if loss.Cmp(most) > 0 {
					t.Errorf("epsilon %g, bound %d, %+v: sigma %d on 2^-%d loses too much by itself", epsilon, bound, s, got, share.Shift())
				}
				// The noise is at most 0.1 % more than needed.
				if least := new(big.Rat).Mul(most, big.NewRat(998, 1000)); loss.Cmp(least) < 0 {
					t.Errorf("epsilon %g, bound %d, %+v: sigma %d on 2^-%d is needlessly large", epsilon, bound, s, got, share.Shift())
				}
				// The sum of h = max(H, k) honest shares: k² b² L0 4^f/(h w sigma²) <= epsilon², for each k <= m.
				for _, k := range []int{1, 2, 3, s.Sites - 1, s.Sites} {
					if k < 1 || k > s.Sites {
						continue
					}
					sum := new(big.Rat).Mul(loss, big.NewRat(int64(k)*int64(k), int64(s.Sites)*int64(max(s.Honest, k))))
					if sum.Cmp(new(big.Rat).Mul(e, e)) > 0 {
						t.Errorf("epsilon %g, %+v: a patient at %d hospitals loses too much by the sum", epsilon, s, k)
					}
				}
			}
		}
	}
}

func TestSharesRefuse(t *testing.T) {
	good, at := Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 1}, Coordinate{Size: 2, Weight: 1}
	for name, c := range map[string]struct {
		n Noise
		c Coordinate
		s Shares
		e error
	}{
		"Laplace noise":       {Noise{Mechanism: Laplace, Epsilon: 1, Limit: 1}, at, Shares{2, 1}, ErrNoise},
		"no noise":            {Noise{}, at, Shares{2, 1}, ErrNoise},
		"no hospital":         {good, at, Shares{0, 1}, ErrNoise},
		"nobody counts":       {good, at, Shares{2, 0}, ErrNoise},
		"beyond all sites":    {good, at, Shares{MaxSites + 1, 1}, ErrNoise},
		"a coarse grid":       {good, Coordinate{Size: 1 << 53, Weight: 1}, Shares{1, 1}, ErrSensitivity},
		"a huge epsilon":      {Noise{Mechanism: Gaussian, Epsilon: 9e9, Limit: 1}, at, Shares{2, 1}, ErrSensitivity},
		"a weight beyond l0":  {good, Coordinate{Size: 2, Weight: 2}, Shares{2, 1}, ErrSensitivity},
		"a bound that is not": {good, Coordinate{Size: 0, Weight: 1}, Shares{2, 1}, ErrSensitivity},
	} {
		if _, err := c.n.Share(c.c, c.s); !errors.Is(err, c.e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Covered numbers stay far within 64 bits, whatever x is: no sum over hospitals with up to 2^26 patients overflows.
func TestCoverClamps(t *testing.T) {
	for _, bound := range []int64{1, 1 << 20, 1 << 35} {
		share, err := Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 100}.Share(Coordinate{Size: bound, Weight: 1}, Shares{1, 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []int64{math.MaxInt64, math.MinInt64} {
			if y := share.Cover(x); y > 1<<62 || y < -1<<62 || y > 0 != (x > 0) {
				t.Errorf("%d is sent as %d", x, y)
			}
		}
		if most := bound << sharePatients; share.Read(share.Cover(most))-most > 1<<50 || most<<share.Shift() > 1<<61 {
			t.Errorf("%d patients at %d do not fit", 1<<sharePatients, bound)
		}
	}
}

// A seized coordinator sees what the hospitals sent, and the shares of the hospitals that help it. It learns no more
// than the bound: from covered vectors each by itself, from masked vectors their sum, and if all masks broke, each
// vector by itself at the stated exposure. The audit detects noise a fifth too narrow each time.
func TestAuditShares(t *testing.T) {
	for _, c := range []struct {
		name     string
		shares   Shares
		patient  int     // the number of hospitals at which the patient is; all are seen
		others   int     // the number of honest hospitals whose shares are in what is seen
		exposure float64 // in units of the price
	}{
		{"covered, the patient at both hospitals", Shares{2, 1}, 2, 0, 1},
		{"covered, the patient at one hospital of three", Shares{3, 1}, 1, 0, 1.0 / 3},
		{"masked, three of four hospitals honest", Shares{1, 3}, 1, 2, 1},
		{"masked, and the patient at two of four that are honest", Shares{2, 4}, 2, 2, 1},
		{"masked, and all masks broken", Shares{1, 3}, 1, 0, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, of := Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 1}, Coordinate{Size: 1000 * int64(c.shares.Sites), Weight: 1}
			seen := func(n Noise) func(bool) float64 {
				share, err := n.Share(of, c.shares)
				if err != nil {
					t.Fatal(err)
				}
				return func(with bool) float64 { // the patient's parts are equal, so the sum of what is seen is a sufficient statistic
					sum := int64(0)
					for h := range c.patient + c.others {
						x := int64(12345)
						if with && h < c.patient {
							x += 1000
						}
						sum += share.Cover(x)
					}
					return float64(sum)
				}
			}
			// A Gaussian mechanism of rho = mu²/2 is (mu, delta)-private for this delta (Balle & Wang 2018, Theorem 8).
			mu := math.Sqrt(c.exposure)
			delta := upperNormal(1-mu/2) - math.Exp(mu)*upperNormal(1+mu/2)
			draws := int(60_000 / c.exposure / c.exposure) // a smaller loss needs more draws before narrowed noise is detected
			audit.Expect(t, audit.Draws(max(60_000, draws)), mu, delta, seen(n), seen(narrowed(t, n, of)))
		})
	}
}
