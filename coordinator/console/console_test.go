package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

func TestHandler(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h, err := NewHandler(api)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/": 200, "/assets/app.js": 200, "/assets/dom.js": 200, "/assets/words.js": 200, "/v1/query": http.StatusTeapot, "/healthz": http.StatusTeapot, "/assets/none.js": http.StatusTeapot} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// All files together are loaded for the first paint.
func TestSize(t *testing.T) {
	site, err := newSite()
	if err != nil {
		t.Fatal(err)
	}
	if site.Compressed > 300<<10 {
		t.Errorf("the console takes %d kB", site.Compressed>>10)
	}
}

// The editor knows every function and word of the planner, and keeps no list of its own.
func TestVocabulary(t *testing.T) {
	b, err := vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range planner.Functions() {
		name, rest, _ := strings.Cut(f.Usage, "(")
		inside, err := json.Marshal(strings.TrimSuffix(rest, ")"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), `"`+name+`":`) || !f.Table && !strings.Contains(string(b), string(inside)) {
			t.Errorf("the editor does not know %s", f.Usage)
		}
	}
	for _, word := range append(syntax.Keywords(), "rollup", "partition", "interval") {
		if !strings.Contains(string(b), `"`+word+`"`) {
			t.Errorf("the editor does not know %s", word)
		}
	}
	js, err := assets.ReadFile("assets/sql.js")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(js), "from './words.js'") || strings.Contains(strings.ToLower(string(js)), "median") {
		t.Error("sql.js has a list of its own")
	}
}
