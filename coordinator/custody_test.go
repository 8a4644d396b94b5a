package coordinator

import (
	"errors"
	"testing"

	"github.com/intramuros/intramuros/internal/study"
)

// A hospital where a study is closed is asked again before each query, but not if it did not answer last time.
func TestClosedHospitalIsAskedAgain(t *testing.T) {
	f := newFederation(t, nil)
	b := f.hospitals["b"]
	f.custody.mu.Lock()
	f.custody.statuses["b"] = map[string]study.Status{"s": study.Suspended}
	f.custody.mu.Unlock()
	asked := func() (vain int) {
		f.lookAgain(t.Context(), "s")
		f.custody.mu.Lock()
		defer f.custody.mu.Unlock()
		for name, e := range f.custody.exchange {
			if name[0] != 'b' {
				t.Errorf("%s is asked, where the study is not closed", name)
			}
			vain = e.vain
		}
		return vain
	}
	b.mu.Lock()
	b.refuse = map[string]error{study.ActionExchange: errors.New("it is busy")}
	b.mu.Unlock()
	if first := asked(); first != 1 {
		t.Fatalf("it is asked %d times, and does not answer", first)
	}
	if second := asked(); second != 1 {
		t.Errorf("it is asked again though it did not answer: %d times", second)
	}
}
