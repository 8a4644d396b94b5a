package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// firstProfiles records what was done before a question was answered.
type firstProfiles struct {
	due   bool     // there were profiles to take
	told  bool     // before was called
	notes []string // what was taken and paid for, or what failed
}

// beside adds these notes to the question's answer or failure.
func (f firstProfiles) beside(a *Answer, err error) (*Answer, error) {
	var e *Error
	switch {
	case len(f.notes) == 0:
	case errors.As(err, &e):
		more := *e
		more.Hint = strings.TrimPrefix(e.Hint+"; "+strings.Join(f.notes, "; "), "; ")
		return nil, &more
	case err == nil:
		a.Warnings = append(a.Warnings, f.notes...)
	}
	return a, err
}

// firstProfiles takes the due profiles. First it tells before, if not nil, about the question and the profiles. Only
// one researcher of a study takes them at a time; others wait, at most half of a query's time. If planning refuses the
// question, it does nothing: the question is refused in the same way later.
func (c *Coordinator) firstProfiles(ctx context.Context, who Researcher, req parsedRequest, before func(*Outline)) (done firstProfiles, err error) {
	if c.config.FirstProfiles[req.Study] == 0 {
		return done, nil
	}
	q, err := c.plan(who, req)
	if err != nil {
		return done, nil
	}
	due, err := q.due(ctx)
	if err != nil {
		return done, q.explainFailure(ctx, err)
	}
	if done.due = len(due) > 0; !done.due {
		return done, nil
	}
	if before != nil {
		o := q.outline()
		o.Warnings = append(o.Warnings, due.sentences()...)
		before(o)
		done.told = true
		if ctx.Err() != nil {
			return done, q.explainFailure(ctx, ctx.Err())
		}
	}
	within, cancel := context.WithTimeout(ctx, c.config.QueryTimeout/2)
	defer cancel()
	leave, err := c.firsts.lock(within, req.Study)
	if err != nil {
		if ctx.Err() != nil {
			return done, q.explainFailure(ctx, ctx.Err())
		}
		return done, nil // others take too long, so the question continues without profiles
	}
	defer leave()
	for i := range due {
		note, err := q.takeFirst(within, &due[i])
		if err != nil {
			return done, q.explainFailure(ctx, err)
		}
		if note != "" {
			done.notes = append(done.notes, note)
		}
		if ctx.Err() != nil {
			_, err := done.beside(nil, q.explainFailure(ctx, ctx.Err()))
			return done, err
		}
	}
	return done, nil
}

// permitted asks the hospitals whether enough of them would answer all questions of a profile. Otherwise the first
// might be paid for and the last refused.
func (q *query) permitted(ctx context.Context, d *dueProfile) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, q.c.config.PrepareTimeout)
	defer cancel()
	for _, question := range d.questions() {
		of, err := q.c.plan(q.who, question.request(q.name, d.epsilon))
		if err != nil {
			return false, nil
		}
		for i := range of.program.Releases {
			would := map[string]bool{}
			if err := (&Explanation{}).release(ctx, of.forRelease(i), caveats{}, would); err != nil {
				return false, err
			}
			if len(would) < of.required {
				return false, nil
			}
		}
	}
	return true, nil
}

// takeFirst takes one profile and stores it, unless somebody else just has. The note says what was paid for or what
// failed.
func (q *query) takeFirst(ctx context.Context, d *dueProfile) (note string, err error) {
	c, t := q.c, studyTable{q.name, d.table.Name}
	if !c.needsFirstProfile(t) {
		return "", nil
	}
	if permitted, err := q.permitted(ctx, d); !permitted || err != nil {
		if ctx.Err() == nil {
			c.firsts.pause(t, c.now().Add(firstAgain))
		}
		return "", err
	}
	charged := false
	p, err := c.profile(ctx, q.name, d.profiling, d.epsilon, func(ctx context.Context, question parsedRequest) (*Answer, error) {
		a, err := c.ask(ctx, q.who, question, nil, nil)
		var e *Error
		charged = charged || err == nil && !a.Stored || errors.As(err, &e) && e.Charged
		return a, err
	})
	lasting := context.WithoutCancel(ctx)
	switch {
	case err == nil && !charged:
		return "", c.keepProfile(lasting, p)
	case err == nil:
		c.log.Info("first profile taken", slog.String("study", t.Study), slog.String("table", t.Table), slog.String("researcher", q.who.Name))
		return fmt.Sprintf("a profile of %s was taken before, once for everyone in the study, and charged by itself: %s", t.Table, d.priceText()), c.keepProfile(lasting, p)
	}
	c.log.Warn("first profile failed", slog.String("study", t.Study), slog.String("table", t.Table), slog.Bool("charged", charged), slog.Any("error", err))
	if charged || ctx.Err() == nil {
		c.firsts.pause(t, c.now().Add(firstAgain))
	}
	if !charged {
		return "", nil
	}
	c.firsts.fail(t)
	note = fmt.Sprintf("the profile of %s failed after it was charged, at most %s; it is tried once more at most", t.Table, d.priceText())
	return note, c.keepAs(lasting, failedFirstForm, t)
}
