package coordinator

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// firstFederation has a table of stays. A first profile may cost a tenth of a study's budget, which is 0.2.
func firstFederation(t *testing.T, change func(*Config)) *federation {
	f := newFederation(t, func(c *Config) {
		c.Catalog = filepath.Join(filepath.Dir(c.Catalog), "profile.yaml")
		must(t, os.WriteFile(c.Catalog, []byte(profileCatalog), 0o600))
		c.FirstProfiles = map[string]float64{"s": 0.1}
		if change != nil {
			change(c)
		}
	})
	f.propose(t, "s", func(d *study.Document) { d.Expires = time.Now().Add(6 * 24 * time.Hour) })
	for _, h := range f.hospitals {
		h.groups = []group{{[]value.Value{value.Int(1)}, 1000}, {[]value.Value{value.Int(2)}, 5000}, {[]value.Value{value.Int(16)}, 3000}}
	}
	return f
}

const stays = "SELECT COUNT(*) FROM stay"

func inStudy(sql string) Request { return Request{SQL: sql, Settings: Settings{Study: "s"}} }

// spent checks what study s has been charged, and that nothing is reserved.
func (f *federation) spent(t *testing.T, want float64) {
	t.Helper()
	if charged, reserved := f.losses(t); math.Abs(charged-want) > 1e-6 || reserved != 0 {
		t.Errorf("charged %v and reserved %v, not %v and 0", charged, reserved, want)
	}
}

const (
	foretold  = "no profile of stay is there yet: one is taken before, once for everyone in the study. It costs epsilon 0.2, 10 % of the study's budget"
	takenNote = "a profile of stay was taken before, once for everyone in the study, and charged by itself: epsilon 0.2, 10 % of the study's budget"
)

func says(lines []string, text string) bool { return strings.Contains(strings.Join(lines, "\n"), text) }

// TestFirstProfile checks that the first question that reads a table takes its profile, announces it with its price
// before it pays, and uses the profile's limits. Afterwards everybody has the profile for free.
func TestFirstProfile(t *testing.T) {
	f := firstFederation(t, func(c *Config) { c.Limits.AtOnce = 1 })
	ctx, alice := t.Context(), asker("alice")
	o, err := f.Outline(ctx, alice, inStudy(stays))
	must(t, err)
	e, err := f.Explain(ctx, alice, inStudy(stays))
	must(t, err)
	if !says(o.Warnings, foretold) || !says(e.Warnings, foretold) {
		t.Errorf("before paying it says %q and %q", o.Warnings, e.Warnings)
	}
	gone, cancel := context.WithCancel(ctx)
	if _, err := f.Forewarned(gone, alice, inStudy(stays), func(*Outline) { cancel() }); !errors.Is(err, CodeCanceled) {
		t.Errorf("who goes away after the warning gets %v", err)
	}
	f.spent(t, 0)
	warned := 0
	a, err := f.Forewarned(ctx, alice, inStudy(stays), func(o *Outline) {
		warned++
		if f.spent(t, 0); !says(o.Warnings, foretold) {
			t.Errorf("the warning is %q", o.Warnings)
		}
	})
	must(t, err)
	if warned != 1 || !says(a.Warnings, takenNote) || a.Cost.Epsilon != 0.5 {
		t.Errorf("warned %d times; the answer says %q and costs %v", warned, a.Warnings, a.Cost.Epsilon)
	}
	f.spent(t, 0.7)
	// It is a profile like any other: explain shows it, and the same question is free.
	e, err = f.Explain(ctx, alice, inStudy(stays))
	must(t, err)
	if !e.Stored || says(e.Warnings, "no profile") || !says(e.Warnings, "from the profile of ") || !strings.Contains(e.Plan, "beyond 20 rows") {
		t.Errorf("stored %v; it says %q, and\n%s", e.Stored, e.Warnings, e.Plan)
	}
	f.Coordinator.profiles = profiles{} // as after a restart
	must(t, f.loadProfiles(ctx))
	if again := f.mustAsk(t, stays); !again.Stored || says(again.Warnings, "a profile of") {
		t.Errorf("again: stored %v, %q", again.Stored, again.Warnings)
	}
	f.mustAsk(t, "SELECT AVG(days) FROM stay")
	f.spent(t, 1.2)
}

// TestFirstProfileWhereNone checks when a question takes no profile: the study has no share; it reads no such table;
// its answer is stored, or only a stored one is accepted; its price is not known before; the study may not ask what a
// profile asks; or the budget is too small for both.
func TestFirstProfileWhereNone(t *testing.T) {
	f := firstFederation(t, func(c *Config) { c.FirstProfiles["sums"] = 0.1 })
	f.propose(t, "t", nil)
	f.propose(t, "sums", func(d *study.Document) { d.Aggregates = []study.Aggregate{study.Sum} })
	f.propose(t, "s", func(d *study.Document) { d.Tables = map[string][]string{"*": {"*"}} })
	in := func(sql string, change func(*Request)) Request {
		r := inStudy(sql)
		change(&r)
		return r
	}
	for name, r := range map[string]Request{
		"no share":     in(stays, func(r *Request) { r.Study = "t" }),
		"other table":  inStudy("SELECT COUNT(*) FROM person"),
		"stored only":  in(stays, func(r *Request) { r.StoredOnly = true }),
		"accuracy":     inStudy("SELECT /*+ accuracy = '1000' */ COUNT(*) FROM stay"),
		"not to count": in("SELECT SUM(days) FROM stay", func(r *Request) { r.Study = "sums" }),
		"too little":   in(stays, func(r *Request) { r.Epsilon = 1 }),
	} {
		if name == "too little" {
			f.propose(t, "s", func(d *study.Document) { d.Budget.Epsilon = 1.1 })
		}
		e, err := f.Explain(t.Context(), asker("alice"), r)
		if err != nil || says(e.Warnings, "no profile") {
			t.Errorf("%s: %v, %+v", name, err, e)
		}
		if name == "too little" {
			f.propose(t, "s", func(d *study.Document) { d.Budget.Epsilon = 2 })
		}
	}
	f.spent(t, 0)
}

// TestFirstProfileOnce checks that concurrent questions take one profile.
func TestFirstProfileOnce(t *testing.T) {
	f := firstFederation(t, nil)
	var all sync.WaitGroup
	failed := make(chan error, 4)
	for _, sql := range []string{stays, "SELECT AVG(days) FROM stay", stays + " WHERE days > 5", stays + " WHERE days > 6"} {
		all.Add(1)
		go func() {
			defer all.Done()
			r := inStudy(sql)
			r.Epsilon = 0.25
			_, err := f.Query(t.Context(), asker("alice"), r, nil)
			failed <- err
		}()
	}
	all.Wait()
	for range 4 {
		must(t, <-failed)
	}
	f.spent(t, 0.2+4*0.25)
}

// TestFirstProfileFails checks that a failure after a charge is reported, the question continues, and the profile is
// tried once more an hour later. After a refusal nothing is paid, and it is tried again an hour later.
func TestFirstProfileFails(t *testing.T) {
	f := firstFederation(t, nil)
	now := time.Now()
	f.now = func() time.Time { return now }
	good := f.hospital("b").present()
	broken := map[string]error{"execute": status.Error(codes.Internal, "NODE_ENGINE: failed")}
	refused := map[string]error{actionPrepare: status.Error(codes.FailedPrecondition, "NODE_SOURCE: cannot compute this")}
	ask := func(sql string) (*Answer, error) {
		return f.Query(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
	}
	f.hospital("b").become(good, refused)
	if _, err := ask(stays); !errors.Is(err, CodeHospitalRefused) {
		t.Errorf("refused: %v", err)
	}
	f.spent(t, 0)
	f.hospital("b").become(good, nil)
	if a, err := ask(stays); err != nil || says(a.Warnings, "a profile of") {
		t.Errorf("at once after a refusal: %v, %+v", err, a)
	}
	f.spent(t, 0.1)
	now = now.Add(2 * time.Hour)
	f.hospital("b").become(good, map[string]error{actionExplain: status.Error(codes.PermissionDenied, "NODE_STUDY: may not count")})
	if a, err := ask(stays); err != nil || !a.Stored {
		t.Errorf("a stored answer: %v", err)
	}
	if a, err := ask(stays + " WHERE days > 9"); err != nil || says(a.Warnings, "a profile of") {
		t.Errorf("where a hospital permits none: %v, %+v", err, a)
	}
	f.spent(t, 0.2)
	for i, spent := range []float64{0.5, 0.9} {
		now = now.Add(2 * time.Hour)
		f.hospital("b").become(good, broken)
		// The data differ each time; otherwise earlier releases would be found.
		_, err := ask([]string{stays + " WHERE days > 1", stays + " WHERE days > 2"}[i])
		if !errors.Is(err, CodeHospitalFailed) || !strings.Contains(err.Error(), "the profile of stay failed after it was charged, at most epsilon 0.2, 10 % of the study's budget") {
			t.Errorf("failed: %v", err)
		}
		f.spent(t, spent)
		f.hospital("b").become(good, nil)
		a, err := ask([]string{stays + " WHERE days > 3", stays + " WHERE days > 4"}[i])
		if err != nil || says(a.Warnings, "a profile of") {
			t.Errorf("at once after a failure: %v, %+v", err, a)
		}
		f.spent(t, spent+0.1)
	}
	now = now.Add(24 * time.Hour)
	f.Coordinator.firsts = firsts{} // as after a restart
	must(t, f.loadFailedFirsts(t.Context()))
	a, err := ask(stays + " WHERE days > 7")
	if err != nil || says(a.Warnings, "a profile of") {
		t.Errorf("after two failures: %v, %+v", err, a)
	}
	if p, err := f.Profile(t.Context(), asker("alice"), ProfileRequest{Study: "s"}); err != nil || len(p) != 1 || p[0].Half == 0 {
		t.Errorf("by command: %v, %v", p, err)
	}
}
