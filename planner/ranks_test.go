package planner

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

// partOfPrice is how far one patient moves what is released, measured in the noise, as a share of what is charged. raw
// are the patient's partial aggregates in each group at each hospital, before a node clips them.
func partOfPrice(p *Plan, raw [][]*big.Int) float64 {
	spent, charged := 0.0, p.Noise.Epsilon
	if p.Noise.Mechanism == dp.Gaussian {
		charged *= p.Noise.Epsilon / 2 // rho
	}
	for _, clipped := range p.Proof.Clip(p.Fragment, raw) {
		for i, partial := range p.Fragment.Partials {
			for _, x := range p.Coordinates(i, clipped[:partial.Width()]) {
				moved := float64(p.Sites) * math.Abs(float64(x)) / p.noise[i].Scale
				if p.Noise.Mechanism == dp.Gaussian {
					moved *= moved / 2
				}
				spent += moved
			}
			clipped = clipped[partial.Width():]
		}
	}
	return spent / charged
}

// TestRanksArePaid checks that a patient with any rows in any groups and buckets moves ranks and centred sums by no
// more than is charged, given their noise. The worst patient moves them by almost that.
func TestRanksArePaid(t *testing.T) {
	const from = " FROM vitalaperiodic v JOIN patient p ON v.patientunitstayid = p.patientunitstayid"
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		sql string
		ask Ask
	}{
		{"SELECT MEDIAN(CLAMP(CAST(noninvasivesystolic AS int), 0, 80)) AS m" + from, Ask{}},
		{"SELECT MEDIAN(CLAMP(CAST(noninvasivesystolic AS int), 0, 15)) AS m, SUM(noninvasivesystolic), COUNT(*) AS n" + from,
			Ask{MaxRows: 7, Weights: map[string]int{"m": 5, "n": 3}}},
		{"SELECT unittype, QUANTILE(noninvasivesystolic, 0.9) AS q, SUM(CASE WHEN noninvasivesystolic > 90 THEN 1 ELSE 0 END), COUNT(*)" +
			from + " GROUP BY unittype", Ask{MaxGroups: 3, Weights: map[string]int{"q": 4}}},
		{"SELECT unittype, MIN(CLAMP(CAST(noninvasivesystolic AS int), 0, 24)) AS a, MEDIAN(CLAMP(CAST(noninvasivediastolic AS int), 0, 3)) AS b" +
			from + " GROUP BY unittype", Ask{MaxGroups: 4, MaxRows: 50}},
	} {
		for _, accounting := range []dp.Accounting{dp.ZCDP, dp.Pure} {
			fed := federation(t, "eicu")
			fed.Accounting = accounting
			c.ask.Epsilon = 1
			p, err := Build(Query{SQL: c.sql, Ask: c.ask}, fed)
			if err != nil {
				t.Fatalf("%s: %v", c.sql, err)
			}
			if ranked := len(p.ranks) > 0; ranked != (accounting == dp.ZCDP) {
				t.Errorf("%s, %s: released as ranks: %v", c.sql, accounting, ranked)
			}
			told := int64(0) // sum of the weights; another patient is the worst for the partial that measures clipping
			for _, partial := range p.Fragment.Partials {
				if partial.Kind != fragment.PartialBeyond {
					told += int64(partial.Weight())
				}
			}
			worst, could := 0.0, float64(told)/float64(p.Fragment.Weight())
			for try := range 40 {
				worst = math.Max(worst, partOfPrice(p, rawPatient(p, r, try)))
			}
			if worst > 1+1e-6 || worst < 0.97*could {
				t.Errorf("%s, %s: one patient moves what is released by %v of what is charged, and could by %v", c.sql, accounting, worst, could)
			}
		}
	}
}

// rawPatient first has as many rows in each group as count in full, all in one bucket and at the upper bound of sums.
// Later tries have any numbers.
func rawPatient(p *Plan, r *rand.Rand, try int) [][]*big.Int {
	groups, rows := p.Proof.Groups, float64(p.Proof.Rows)
	if p.Noise.Mechanism == dp.Gaussian {
		rows /= math.Sqrt(float64(groups))
	} else {
		rows /= float64(groups)
	}
	whole := int64(math.Ceil(rows))
	all := make([][]*big.Int, groups)
	for g := range all {
		n, bucket := whole, 0
		if try > 0 {
			n, bucket = r.Int64N(3*whole+1), r.IntN(1<<16)
		}
		for _, partial := range p.Fragment.Partials {
			part := make([]*big.Int, partial.Width())
			for k := range part {
				part[k] = new(big.Int)
			}
			switch {
			case partial.Buckets != nil:
				for left := n; left > 0; {
					some := left
					if try > 1 {
						some = 1 + r.Int64N(left)
					}
					at := part[bucket%len(part)]
					at.Add(at, big.NewInt(some))
					bucket, left = r.IntN(1<<16), left-some
				}
			case partial.Grid != nil:
				part[0].SetInt64(n * (partial.Grid.Upper - partial.Grid.Center))
				if try > 1 && r.IntN(2) == 0 {
					part[0].SetInt64(n * (partial.Grid.Lower - partial.Grid.Center))
				}
			default:
				part[0].SetInt64(n)
			}
			all[g] = append(all[g], part...)
		}
	}
	return all
}
