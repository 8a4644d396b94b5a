package session

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/coordinator"
)

func TestSet(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"study", "cancer", "cancer"}, {"epsilon", "0.5", "0.5"}, {"EPSILON", " 1e-3 ", "0.001"}, {"delta", "1e-9", "1e-09"}, {"accuracy", "50", "50"}, {"accuracy", "5%", "5%"},
		{"max_groups", "3", "3"}, {"max_rows", "7", "7"}, {"intervals", "columns", "columns"}, {"intervals", "On", "columns"}, {"intervals", "none", "none"},
	} {
		var s Settings
		if err := s.Set(test.name, test.text); err != nil || s.Get(test.name) != test.want {
			t.Errorf("%s = %s gives %q, %v", test.name, test.text, s.Get(test.name), err)
		}
		if err := s.Set(test.name, "default"); err != nil || !reflect.DeepEqual(s, Settings{}) {
			t.Errorf("%s = default leaves %+v, %v", test.name, s, err)
		}
	}
}

func TestWrong(t *testing.T) {
	for name, texts := range map[string][]string{
		"epsilon": {"much", "0", "-1", "Inf", "NaN"}, "delta": {"x", "-1"}, "accuracy": {"x", "0", "%", "-5%"}, "max_groups": {"0", "1.5", "x"}, "max_rows": {"-1"}, "intervals": {"perhaps"}, "nothing": {"1"},
	} {
		for _, text := range texts {
			var s Settings
			err := s.Set(name, text)
			var e *coordinator.Error
			if !errors.As(err, &e) || e.Code != coordinator.CodeInvalidRequest || e.Hint == "" || !reflect.DeepEqual(s, Settings{}) {
				t.Errorf("%s = %s: %v, %+v", name, text, err, s)
			}
		}
	}
}

func TestRequest(t *testing.T) {
	var s Settings
	for name, text := range map[string]string{"study": "cancer", "accuracy": "5%", "delta": "1e-9", "max_groups": "2", "max_rows": "3"} {
		if err := s.Set(name, text); err != nil {
			t.Fatal(err)
		}
	}
	r := s.Request("SELECT", nil)
	if r.SQL != "SELECT" || r.Study != "cancer" || r.Epsilon != 0 || r.Accuracy == nil || !r.Accuracy.Relative || r.Accuracy.HalfWidth != 0.05 || r.Delta != 1e-9 || r.MaxGroups != 2 || r.MaxRows != 3 {
		t.Errorf("the request is %+v", r)
	}
	for _, name := range Names {
		if !Known(name) {
			t.Errorf("%s is not known", name)
		}
	}
}

// The quickstarts name every setting as it is written.
func TestQuickstartsNameTheSettings(t *testing.T) {
	for _, document := range []string{"python", "r", "bi"} {
		b, err := os.ReadFile("../../docs/quickstart-" + document + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range Names {
			if !strings.Contains(string(b), "`"+name+"`") {
				t.Errorf("quickstart-%s.md does not name %s", document, name)
			}
		}
	}
}
