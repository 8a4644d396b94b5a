package planner

import (
	"math/rand/v2"
	"testing"
)

// A query with a thousand groups and ten aggregates.
const wide = `SELECT FLOOR(unitdischargeoffset / 100.1) AS bin, COUNT(*) AS n, COUNT(DISTINCT patient) AS patients, COUNT(admissionheight) AS heights,
	SUM(admissionweight) AS kg, AVG(admissionweight) AS weight, AVG(admissionheight) AS height, AVG(unitdischargeoffset) AS stay,
	100.0 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*) AS male,
	SUM(CASE WHEN hospitaldischargestatus = 'Expired' THEN 1 ELSE 0 END) AS died, AVG(admissionweight / (1 + admissionheight)) AS ratio
	FROM patient GROUP BY 1 HAVING COUNT(*) > 10 ORDER BY n DESC`

// wideCells are noisy cells for it, with about 500 rows each.
func wideCells(b *testing.B, p *Plan) []Cell {
	b.Helper()
	width := p.places[len(p.places)-1].end
	var cells []Cell
	for _, keys := range p.Fragment.Groups() {
		c := Cell{Keys: keys, Noisy: make([]int64, width)}
		for i, partial := range p.Fragment.Partials {
			c.Noisy[i] = 500 + int64(p.noise[i].Quantile(0.001+0.998*rand.Float64()))
			if g := partial.Grid; g != nil {
				c.Noisy[i] += 500 * ((g.Lower+g.Upper)/2 - g.Center)
			}
		}
		cells = append(cells, c)
	}
	if len(cells) < 990 {
		b.Fatalf("%d groups", len(cells))
	}
	return cells
}

func BenchmarkBuild(b *testing.B) {
	fed := federation(b, "eicu")
	for b.Loop() {
		if _, err := Build(Query{SQL: wide, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlanAndFinish is everything that the coordinator computes for an answer except the noise: plan, arithmetic,
// HAVING, ORDER BY and 10,000 intervals. dp.BenchmarkAdd100k measures the noise.
func BenchmarkPlanAndFinish(b *testing.B) {
	fed := federation(b, "eicu")
	for _, delta := range []float64{1e-6, 0} { // Gaussian and Laplace noise
		p, err := Build(Query{SQL: wide, Ask: Ask{Epsilon: 1, Delta: delta}}, fed)
		if err != nil {
			b.Fatal(err)
		}
		cells := wideCells(b, p)
		b.Run(string(p.Noise.Mechanism), func(b *testing.B) {
			for b.Loop() {
				p, err := Build(Query{SQL: wide, Ask: Ask{Epsilon: 1, Delta: delta}}, fed)
				if err != nil {
					b.Fatal(err)
				}
				a, err := p.Finish(cells, 0.95)
				if err != nil {
					b.Fatal(err)
				}
				if len(a.Rows) < 500 || len(a.Columns) != 11 {
					b.Fatalf("%d rows", len(a.Rows))
				}
			}
		})
	}
}

// BenchmarkSimulate computes one interval that is simulated.
func BenchmarkSimulate(b *testing.B) {
	p, err := Build(Query{SQL: "SELECT VAR_SAMP(admissionweight) FROM patient", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(b, "eicu"))
	if err != nil {
		b.Fatal(err)
	}
	r, g := p.prepare(p.Columns[0].expr, 0.95), p.group(Cell{Noisy: exactPartials(p, 1000)})
	for b.Loop() {
		g.interval(r)
	}
}
