package coordinator

import (
	"errors"
	"slices"
	"testing"
)

func TestParseSelection(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "ALL": "", " all but b ": "all but b", "all but b, A,b": "all but a, b", "b,a": "a, b",
	} {
		s, err := ParseSelection(text)
		if err != nil || s.String() != want {
			t.Errorf("%q: %q, %v", text, s, err)
		}
		if again, err := ParseSelection(s.String()); err != nil || again != s {
			t.Errorf("%q: %v, %v", text, again, err)
		}
	}
	for _, text := range []string{"all but", "a,", "a b", "all except a"} {
		if s, err := ParseSelection(text); err == nil {
			t.Errorf("%q is taken for %q", text, s)
		}
	}
}

// A hospital that is left out is not asked, charges nothing and is not reported as missing. A patient is then at fewer
// hospitals, so there is less noise. The answer of the other hospitals is another answer.
func TestHospitalsLeftOut(t *testing.T) {
	f := newFederation(t, nil)
	ask := func(hospitals string) (*Answer, error) {
		return f.Query(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s", Hospitals: hospitals}}, nil)
	}
	a, err := ask("all but b")
	must(t, err)
	if !slices.Equal(a.Answered, []string{"a", "c"}) || len(a.Missing) > 0 || a.Stored {
		t.Errorf("%+v", a)
	}
	wantRows(t, a, "F 20", "M 10")
	if f.hospitals["b"].executed != 0 || f.hospitals["a"].executed != 1 {
		t.Error("b was asked")
	}
	if a, err = ask("a, c"); err != nil || !a.Stored {
		t.Errorf("the same question: %+v, %v", a, err)
	}
	whole, err := ask("all")
	must(t, err)
	if whole.Stored || len(whole.Answered) != 3 {
		t.Errorf("%+v", whole)
	}
	for _, hospitals := range []string{"all but d", "d", "all but a, b, c", "all but"} {
		var e *Error
		if _, err := ask(hospitals); !errors.As(err, &e) || e.Code != CodeInvalidRequest || e.Hint == "" || e.Charged {
			t.Errorf("%q: %v", hospitals, err)
		}
	}
	// The same by a hint in the text, and in what explain shows.
	e, err := f.Explain(t.Context(), asker("alice"), Request{SQL: "SELECT /*+ hospitals = 'b' */ sex, COUNT(*) AS n FROM person GROUP BY sex", Settings: Settings{Study: "s"}})
	must(t, err)
	if len(e.Engines) != 1 || !slices.Equal(e.Engines[0].Hospitals, []string{"b"}) {
		t.Errorf("%+v", e.Engines)
	}
}
