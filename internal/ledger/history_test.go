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

// TestConcurrentHistories lets many callers loose on one ledger and replays what it recorded, in its
// order, against a model that knows only sums of epsilon: whatever was reserved fitted then, whatever
// was refused did not, and each caller was told what the ledger recorded.
func TestConcurrentHistories(t *testing.T) {
	const callers, steps = 16, 25
	studyCap, nodeCap := int64(120), int64(300)
	for seed := range uint64(3) {
		l, _ := fresh(t)
		ctx := context.Background()
		var mu sync.Mutex
		told := map[string]string{} // by id: the last kind that was acknowledged
		refusals := 0
		say := func(id, what string) {
			mu.Lock()
			defer mu.Unlock()
			told[id] = what
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
							say(id, "reserve")
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
						// Twice at once: one charge.
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
					if random.IntN(10) == 0 {
						if _, err := l.Verify(ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()

		used := map[string]int64{} // by scope, charged and reserved
		charged := map[string]int64{}
		recorded := map[string]string{}
		recordedRefusals := 0
		for _, e := range all(t, l) {
			epsilon := e.Loss.Epsilon / 1_000_000
			fits := used[e.Study]+epsilon <= studyCap && used["node"]+epsilon <= nodeCap
			switch e.Kind {
			case KindReserve:
				if !fits {
					t.Errorf("seed %d: entry %d does not fit", seed, e.Sequence)
				}
				used[e.Study] += epsilon
				used["node"] += epsilon
				used[e.Reservation] = epsilon
			case KindAbandon:
				used[e.Study] -= used[e.Reservation]
				used["node"] -= used[e.Reservation]
			case KindCharge:
				charged["study:"+e.Study] += epsilon
				charged["researcher:"+e.Researcher] += epsilon
				charged["node"] += epsilon
			case KindRefuse:
				recordedRefusals++
				if fits {
					t.Errorf("seed %d: entry %d was refused and fits", seed, e.Sequence)
				}
			}
			if e.Reservation != "" {
				recorded[e.Reservation] = string(e.Kind)
			}
		}
		if recordedRefusals != refusals || refusals == 0 {
			t.Errorf("seed %d: %d refusals were told, %d recorded", seed, refusals, recordedRefusals)
		}
		if len(told) != len(recorded) {
			t.Errorf("seed %d: %d reservations were told, %d recorded", seed, len(told), len(recorded))
		}
		for id, kind := range told {
			if recorded[id] != kind {
				t.Errorf("seed %d: %s was told %s, recorded %s", seed, id, kind, recorded[id])
			}
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
