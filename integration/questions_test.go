package integration

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// question is one section of a file of questions; testdata/eicu.questions explains
// its form.
type question struct {
	name     string
	title    string
	request  request
	exact    string // the oracle's query
	selected bool
	ordered  bool
	within   float64
}

// readQuestions reads a file, and makes the oracle prepare each answer's query.
func readQuestions(t *testing.T, path string, o *oracle) []question {
	t.Helper()
	var all []question
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		q := question{name: d.Cmd, request: request{SQL: d.Input}, within: 0.01}
		q.title = strings.TrimPrefix(strings.SplitN(d.Input, "\n", 2)[0], "-- ")
		most := 0
		for _, a := range d.CmdArgs {
			value := func() float64 {
				x, err := strconv.ParseFloat(a.Vals[0], 64)
				if err != nil {
					t.Fatalf("%s: %v", d.Pos, err)
				}
				return x
			}
			switch {
			case a.Key == "clipped":
				most = int(value())
			case a.Key == "within":
				q.within = value()
			case a.Key == "selected":
				q.selected = true
			case a.Key == "ordered":
				q.ordered = true
			default:
				t.Fatalf("%s: there is no argument %s", d.Pos, a.Key)
			}
		}
		rows, outer, ok := strings.Cut(strings.TrimSpace(d.Expected), "\n=> ")
		if !ok {
			t.Fatalf("%s: give the query for the rows, and `=> SELECT … FROM cells`", d.Pos)
		}
		cells, maxRows, maxGroups := o.cells(rows, most)
		q.exact = cells + outer
		q.request.MaxRows, q.request.MaxGroups = maxRows, maxGroups
		if most > 0 {
			q.request.MaxRows = most
		}
		all = append(all, q)
		return d.Expected
	})
	return all
}

// pair is a released number and the exact one.
type pair struct {
	group, column string
	cell          cell
	exact         float64
	whole         bool
}

// compare pairs the numbers of an answer with the exact ones, group by group. A group that the oracle does not have is
// empty: its counts and whole sums are 0, and its other numbers mean nothing.
func (q question) compare(a *answer, exact [][]any) ([]pair, error) {
	wanted := map[string][]any{}
	order := []string{}
	for _, row := range exact {
		id := q.group(a, func(i int) any { return row[i] })
		wanted[id] = row
		order = append(order, id)
	}
	var pairs []pair
	for n, row := range a.Rows {
		id := q.group(a, func(i int) any { return row[i].Value })
		if q.ordered && (n >= len(order) || order[n] != id) {
			return nil, fmt.Errorf("row %d is %s; the exact answer has, in this order, %s", n+1, id, strings.Join(order, "; "))
		}
		want, ok := wanted[id]
		if !ok && q.selected {
			return nil, fmt.Errorf("%s is shown and should not be", id)
		}
		delete(wanted, id)
		for i, column := range a.Columns {
			whole := column.Type == "int"
			if !column.Noisy || !ok && !whole {
				continue
			}
			p := pair{group: id, column: column.Name, cell: row[i], whole: whole}
			if ok {
				if want[i] == nil { // such as the mean of no values
					continue
				}
				p.exact = number(want[i])
			}
			pairs = append(pairs, p)
		}
	}
	for id := range wanted {
		return nil, fmt.Errorf("%s is missing", id)
	}
	return pairs, nil
}

func (q question) group(a *answer, value func(int) any) string {
	var keys []string
	for i, c := range a.Columns {
		if !c.Noisy {
			keys = append(keys, c.Name+" "+key(value(i)))
		}
	}
	if keys == nil {
		return "the answer"
	}
	return strings.Join(keys, ", ")
}

// testExact asks every question at an epsilon at which noise vanishes. After rounding, the answers are the exact ones.
func testExact(t *testing.T, f *federation, o *oracle, questions []question) {
	for _, q := range questions {
		t.Run("exact/"+q.name, func(t *testing.T) {
			r := q.request
			r.Epsilon = exactEpsilon
			a, err := f.query(r)
			if err != nil {
				t.Fatalf("%s\n%v", q.title, err)
			}
			if len(a.Hospitals.Missing) > 0 || a.Stored {
				t.Errorf("stored %v, missing %v", a.Stored, a.Hospitals.Missing)
			}
			pairs, err := q.compare(a, o.rows(q.exact))
			if err != nil {
				t.Fatalf("%s\n%v", q.title, err)
			}
			if len(pairs) == 0 {
				t.Error("no number was compared")
			}
			for _, p := range pairs {
				got, ok := p.cell.Value.(float64)
				within := q.within
				if p.whole {
					within = 0
				}
				if !ok || math.Abs(got-p.exact) > within {
					t.Errorf("%s, %s: released %v, exact %v", p.group, p.column, p.cell.Value, p.exact)
				}
			}
		})
	}
}

// falseAlarm is how often a test of intervals may fail without a fault.
const falseAlarm = 1e-7

// testIntervals asks every question repeatedly at a moderate epsilon, a different one each time, so that no answer is
// stored. The exact number must be within the interval as often as stated.
//
// Noise on the cells of a run is independent between groups and between runs, but not between the columns of one group.
// So a column is tested separately, and the false alarm is divided among the columns. All columns together are tested
// with one column for each group, in turn.
func testIntervals(t *testing.T, f *federation, o *oracle, questions []question, runs int) {
	type tally struct{ missed, of int }
	columns := map[string]*tally{}
	var all tally
	unnoised := tally{}
	for _, q := range questions {
		if q.selected {
			continue
		}
		exact := o.rows(q.exact)
		answers := askAgain(t, f, q, runs)
		for i, a := range answers {
			if a.Confidence != 0.95 {
				t.Fatalf("%s: confidence %v", q.name, a.Confidence)
			}
			pairs, err := q.compare(a, exact)
			if err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
			byGroup := map[string][]bool{}
			for _, p := range pairs {
				missed := !p.within()
				byGroup[p.group] = append(byGroup[p.group], missed)
				name := q.name + ", " + p.column
				if columns[name] == nil {
					columns[name] = &tally{}
				}
				columns[name].of++
				if missed {
					columns[name].missed++
				}
				unnoised.of++
				if p.cell.Value == p.exact {
					unnoised.missed++
				}
			}
			for _, missed := range byGroup {
				all.of++
				if missed[i%len(missed)] {
					all.missed++
				}
			}
		}
	}
	const stated = 0.05
	for name, c := range columns {
		if p := binomialTail(c.missed, c.of, stated); p < falseAlarm/2/float64(len(columns)) {
			t.Errorf("%s: %d of %d intervals miss the exact number (p = %.2g)", name, c.missed, c.of, p)
		}
	}
	if p := binomialTail(all.missed, all.of, stated); p < falseAlarm/2 {
		t.Errorf("all columns: %d of %d intervals miss the exact number (p = %.2g)", all.missed, all.of, p)
	}
	// This does not test the noise, which package dp does. It shows whether there is any.
	if 2*unnoised.missed > unnoised.of {
		t.Errorf("%d of %d numbers are exact; is there noise?", unnoised.missed, unnoised.of)
	}
	t.Logf("%d of %d intervals (%.1f %%) miss the exact number, over %d columns", all.missed, all.of, 100*float64(all.missed)/float64(all.of), len(columns))
}

// askAgain asks a question that many times, four at once, or one at once if the federation is large, because all its
// nodes share this machine.
func askAgain(t *testing.T, f *federation, q question, runs int) []*answer {
	t.Helper()
	answers, errs := make([]*answer, runs), make([]error, runs)
	slots := make(chan struct{}, max(1, min(4, 80/len(f.hospitals))))
	var wait sync.WaitGroup
	for i := range runs {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			r := q.request
			// Noise of a few rows, however many rows one patient has.
			r.Epsilon = math.Max(1, float64(r.MaxRows)/5) * (1 + 1e-6*float64(i))
			answers[i], errs[i] = f.query(r)
			if errs[i] == nil && answers[i].Stored {
				errs[i] = errors.New("was answered from the store")
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%s: %v", q.name, err)
	}
	return answers
}

// within reports whether the exact number is in the stated interval. A missing end is infinite. The slack is for the
// grid on which fractional numbers were added up.
func (p pair) within() bool {
	slack := 1e-6 * math.Max(1, math.Abs(p.exact))
	low, lowOK := p.cell.Low.(float64)
	high, highOK := p.cell.High.(float64)
	return (!lowOK || low <= p.exact+slack) && (!highOK || p.exact-slack <= high)
}

// binomialTail is the probability of at least k successes in n trials.
func binomialTail(k, n int, p float64) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(a - b - c + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}

func TestBinomialTail(t *testing.T) {
	for _, c := range []struct {
		k, n int
		want float64
	}{{0, 10, 1}, {1, 1, 0.05}, {2, 2, 0.0025}, {1, 2, 0.0975}} {
		if got := binomialTail(c.k, c.n, 0.05); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("at least %d of %d: %v, not %v", c.k, c.n, got, c.want)
		}
	}
}
