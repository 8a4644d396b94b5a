package planner

import (
	"testing"

	"github.com/intramuros/intramuros/planner/estimate"
)

func TestTargets(t *testing.T) {
	for text, want := range map[string]Accuracy{
		"50": {HalfWidth: 50}, "5%": {Relative: true, HalfWidth: 0.05}, " 5 % of 1000": {Relative: true, HalfWidth: 0.05, Of: 1000}, "2.5 OF 1e3": {HalfWidth: 2.5, Of: 1000},
	} {
		a, err := estimate.ParseAccuracy(text)
		if err != nil || *a != want {
			t.Errorf("%q is %+v, %v", text, a, err)
			continue
		}
		if again, err := estimate.ParseAccuracy(a.String()); err != nil || *again != want {
			t.Errorf("%q reads as %+v", a, again)
		}
	}
	for _, text := range []string{"", "0", "-5", "inf", "nan", "5%%", "5% of", "5 of 0", "of 1000", "5% of many"} {
		if a, err := estimate.ParseAccuracy(text); err == nil {
			t.Errorf("%q is %+v", text, a)
		}
	}
	w, err := ParseWeights(" n=4,kg = 1")
	if err != nil || len(w) != 2 || w["n"] != 4 || w["kg"] != 1 || FormatWeights(w) != "kg=1, n=4" {
		t.Errorf("%v, %v", w, err)
	}
	for _, text := range []string{"", "n", "n=0", "n=1001", "=3", "n=2,", "n=x"} {
		if w, err := ParseWeights(text); err == nil {
			t.Errorf("%q is %v", text, w)
		}
	}
}
