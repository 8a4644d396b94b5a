package node

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/study"
)

func sealedStudy(d *study.Document) {
	d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 10, Delta: 1e-6}
	d.Sealed = true
}

// sealedConfig has the study "sealed", and "open" under the same budget.
func sealedConfig(t *testing.T, sealed Sealed) Config {
	t.Helper()
	conf := testConfig(federation(t))
	conf.Sealed = sealed
	open := func(d *study.Document) { sealedStudy(d); d.Sealed = false }
	few := func(d *study.Document) { sealedStudy(d); d.Hospitals = []string{"lyon", "rennes"} }
	for id, change := range map[string]func(*study.Document){"sealed": sealedStudy, "open": open, "few": few} {
		propose(conf, id, 1, change)
		decide(conf, study.Approve, id, 1, 1, change)
	}
	return conf
}

// covered is request for covered numbers.
func covered(h *hospital, id string, sites int) *fragment.Request {
	r := request(h.catalog, 0.25)
	r.Study, r.Noise = id, dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.25, L0: 1}
	r.Cover = &fragment.Cover{Sites: sites}
	return r
}

// vector executes a ticket of a covered answer.
func vector(ctx context.Context, c flight.Client, ticket string, size int) ([]int64, error) {
	stream, err := c.DoGet(ctx, &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return nil, err
	}
	r, err := flight.NewRecordReader(stream)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var got []int64
	for r.Next() {
		if got, err = fragment.ReadCovered(r.Record(), got, size); err != nil {
			return nil, err
		}
	}
	return got, r.Err()
}

// What leaves is as long as the fragment says and has this node's noise on each number, of the width that the formula
// says; the ledger tells so, and no record of exact groups is there.
func TestNoiseReachesEveryPartial(t *testing.T) {
	h := start(t, sealedConfig(t, Sealed{Hospitals: 3}), newEngine())
	c := h.client(t, "coordinator-paris")
	const runs = 40
	var squares [2]float64
	seen := map[int64]bool{}
	shares, err := (&request(h.catalog, 0.25).Fragment).Shares(fragment.Cover{Sites: 3}, dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.25, L0: 1},
		&fragment.Proof{LInf: []int64{1}, Cells: 2})
	must(t, err)
	for i := range runs {
		r := covered(h, "sealed", 3)
		r.Query = fmt.Sprintf("%032x", i+1)
		ticket, err := prepare(c, r)
		must(t, err)
		got, err := vector(t.Context(), c, ticket, 2)
		must(t, err)
		if len(got) != 2 {
			t.Fatalf("%d numbers left", len(got))
		}
		for j, x := range got {
			if seen[x] {
				t.Errorf("the number %d left twice", x)
			}
			seen[x] = true
			noise := math.Ldexp(float64(x), -int(shares[0].Shift())) - float64(2+j) // two women, three men
			squares[j] += noise * noise / runs
		}
	}
	want := 3 * 16.0 // a third of the variance of noise for a patient at three hospitals: 3²/0.25²/3
	for j, v := range squares {
		if v < want/3 || v > 3*want {
			t.Errorf("number %d has noise of variance %g, not %g", j, v, want)
		}
	}
	answers := 0
	for _, e := range h.entries(t) {
		if e.Kind == "answer" {
			answers++
			var d struct {
				Rows    int
				Covered bool
			}
			must(t, json.Unmarshal(e.Detail, &d))
			if !strings.HasPrefix(e.Text, "A vector of 2 numbers, each covered by this hospital's own noise, left for ") || d.Rows != 2 || !d.Covered {
				t.Errorf("the ledger says %s %s", e.Text, e.Detail)
			}
		}
		if e.Kind == "charge" && !strings.Contains(e.Text, "added by this hospital before anything leaves") {
			t.Errorf("the charge says %s", e.Text)
		}
	}
	if answers != runs {
		t.Errorf("%d answers", answers)
	}
}

// A coordinator may ask for more noise, and for nothing that the node does not cover.
func TestRefuseWhatIsNotCovered(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sealed Sealed
		change func(*fragment.Request)
		want   Code
	}{
		{"a study that is sealed", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover = nil }, CodeSealed},
		{"a hospital that requires it", Sealed{Required: true, Hospitals: 3}, func(r *fragment.Request) { r.Study, r.Cover = "open", nil }, CodeSealed},
		{"neither", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study, r.Cover = "open", nil }, ""},
		{"covered for fewer hospitals", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 2 }, CodeSealed},
		{"covered for none", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 0 }, CodeSealed},
		{"covered for below none", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = -3 }, CodeSealed},
		{"covered for more", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 9 }, ""},
		{"covered for too many", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 1 << 20 }, CodeFragment},
		{"covered though nobody asks for it", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study = "open" }, ""},
		{"how many hospitals, nobody knows", Sealed{}, func(*fragment.Request) {}, CodeSealed},
		{"the study tells", Sealed{}, func(r *fragment.Request) { r.Study, r.Cover.Sites = "few", 2 }, ""},
		{"and they are more", Sealed{}, func(r *fragment.Request) { r.Study, r.Cover.Sites = "few", 1 }, CodeSealed},
		{"Laplace noise", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Noise.Mechanism = dp.Laplace }, CodeFragment},
		{"a study of pure accounting", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study = "copd" }, CodeBudget},
		{"groups that are not declared", Sealed{Hospitals: 3}, func(r *fragment.Request) {
			r.Fragment.Keys[0].Domain, r.ThresholdDelta, r.Noise.L0 = nil, 1e-9, 5
		}, CodeFragment},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, sealedConfig(t, tc.sealed), newEngine())
			r := covered(h, "sealed", 3)
			tc.change(r)
			_, err := prepare(h.client(t, "coordinator-paris"), r)
			if tc.want == "" {
				must(t, err)
				return
			}
			wantCode(t, err, tc.want)
		})
	}
}

// How long the database took is seen on a grid alone, whether it answers or fails, and what is written while it computes
// is nothing.
func TestCoveredLeavesAtTicks(t *testing.T) {
	e := newEngine()
	h := start(t, sealedConfig(t, Sealed{Hospitals: 3}), e)
	c := h.client(t, "coordinator-paris")
	for _, fails := range []bool{false, true} {
		e.fail = func(context.Context) error {
			time.Sleep(130 * time.Millisecond)
			if fails {
				return errSecret
			}
			return nil
		}
		r := covered(h, "sealed", 3)
		if fails {
			r.Query = strings.Repeat("ab", 16)
		}
		ticket, err := prepare(c, r)
		must(t, err)
		began := time.Now()
		_, err = vector(t.Context(), c, ticket, 2)
		took := time.Since(began)
		if fails != (err != nil) {
			t.Fatal(err)
		}
		// The ticks after 130 ms are at 149 ms and above.
		if least := grid.Default.Next(130*time.Millisecond, time.Minute); took < least {
			t.Errorf("fails %v: it left after %v, before the tick at %v", fails, took, least)
		}
	}
}

var errSecret = fmt.Errorf("row 42 is at fault")

func TestSealedConfig(t *testing.T) {
	for _, s := range []Sealed{{Required: true}, {Hospitals: -1}, {Hospitals: dp.MaxSites + 1}} {
		if s.validate() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	if err := (Sealed{Required: true, Hospitals: 3}).validate(); err != nil {
		t.Error(err)
	}
}
