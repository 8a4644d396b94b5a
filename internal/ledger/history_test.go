package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/intramuros/intramuros/dp"
)

// TestConcurrentHistories runs many callers on one ledger, and compares it with a model that knows only sums of
// epsilon. What is charged and reserved together fits every cap at all times. What callers were told is true. Exactly
// the charges that were acknowledged are recorded.
func TestConcurrentHistories(t *testing.T) {
	const callers, steps = 16, 25
	studyCap, nodeCap := int64(120), int64(300)
	for seed := range uint64(3) {
		l, _ := fresh(t)
		ctx := context.Background()
		var mu sync.Mutex
		type fate struct {
			study   string
			epsilon int64
			what    string // the last acknowledged operation
		}
		told := map[string]fate{} // by id
		refusals := 0
		say := func(id, what string) {
			mu.Lock()
			defer mu.Unlock()
			f := told[id]
			f.what = what
			told[id] = f
		}
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(caller)))
				var held []string
				for range steps {
					switch n := random.IntN(10); {
					case n < 6:
						study := fmt.Sprint("s", random.IntN(4))
						r := reservation(study, fmt.Sprint("r", caller), 1+random.Int64N(20),
							Cap{"study:" + study, pure(studyCap)}, Cap{"node", pure(nodeCap)})
						id, err := l.Reserve(ctx, r)
						switch {
						case err == nil:
							held = append(held, id)
							mu.Lock()
							told[id] = fate{study, r.Loss.Epsilon / 1_000_000, "reserve"}
							mu.Unlock()
						case errors.Is(err, dp.ErrBudgetExhausted):
							mu.Lock()
							refusals++
							mu.Unlock()
						default:
							t.Error(err)
						}
					case n < 8 && len(held) > 0:
						id := held[len(held)-1]
						held = held[:len(held)-1]
						// Two charges at the same time are one charge.
						var errs [2]error
						var both sync.WaitGroup
						for i := range errs {
							both.Go(func() { errs[i] = l.Charge(ctx, id, nil) })
						}
						both.Wait()
						if (errs[0] == nil) == (errs[1] == nil) {
							t.Errorf("two charges of one reservation: %v", errs)
						}
						if !errors.Is(errors.Join(errs[:]...), ErrAlreadyCharged) {
							t.Errorf("neither was a replay: %v", errs)
						}
						say(id, "charge")
					case len(held) > 0:
						id := held[0]
						held = held[1:]
						if err := l.Abandon(ctx, id); err != nil {
							t.Error(err)
						}
						say(id, "abandon")
					}
					if random.IntN(3) == 0 {
						for i := range 4 {
							study := fmt.Sprint("study:s", i)
							if charged, reserved, err := l.Spent(ctx, study); err != nil || charged.Epsilon+reserved.Epsilon > studyCap*1_000_000 {
								t.Errorf("%s: charged %d and reserved %d, %v", study, charged.Epsilon, reserved.Epsilon, err)
							}
						}
						if charged, reserved, err := l.Spent(ctx, "node"); err != nil || charged.Epsilon+reserved.Epsilon > nodeCap*1_000_000 {
							t.Errorf("charged %d and reserved %d, %v", charged.Epsilon, reserved.Epsilon, err)
						}
					}
					if random.IntN(10) == 0 {
						if _, err := l.Verify(ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()

		used := map[string]int64{} // charged and reserved, by study
		for _, f := range told {
			if f.what != "abandon" {
				used[f.study] += f.epsilon
			}
		}
		charged := map[string]int64{}
		recorded := map[string]bool{}
		for _, e := range all(t, l) {
			if e.Kind != KindCharge {
				continue
			}
			epsilon := e.Loss.Epsilon / 1_000_000
			charged["study:"+e.Study] += epsilon
			charged["researcher:"+e.Researcher] += epsilon
			charged["node"] += epsilon
			recorded[e.Reservation] = true
		}
		for id, f := range told {
			if recorded[id] != (f.what == "charge") {
				t.Errorf("seed %d: of %s %s was told, and that it is charged is recorded: %v", seed, id, f.what, recorded[id])
			}
			delete(recorded, id)
		}
		if len(recorded) > 0 || refusals == 0 || len(charged) == 0 {
			t.Errorf("seed %d: %d charges that nobody was told of, %d refusals, %v charged", seed, len(recorded), refusals, charged)
		}
		compare := func(l *Ledger) {
			t.Helper()
			for scope, want := range charged {
				got, reserved, err := l.Spent(ctx, scope)
				check(t, err)
				if got.Epsilon != want*1_000_000 {
					t.Errorf("seed %d: %s spent %d, the model says %d", seed, scope, got.Epsilon, want)
				}
				if study, ok := strings.CutPrefix(scope, "study:"); ok && got.Epsilon+reserved.Epsilon != used[study]*1_000_000 && l.lock != nil {
					t.Errorf("seed %d: %s used %d, the model says %d", seed, scope, got.Epsilon+reserved.Epsilon, used[study])
				}
			}
		}
		compare(l)
		reader, err := OpenReadOnly(ctx, l.path)
		check(t, err)
		compare(reader)
		check(t, reader.Close())
		check(t, l.Close())
	}
}
