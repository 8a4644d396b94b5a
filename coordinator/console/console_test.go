package console

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/intramuros/intramuros/internal/web"
)

func TestHandler(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h, err := NewHandler(api)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/": 200, "/assets/app.js": 200, "/assets/dom.js": 200, "/v1/query": http.StatusTeapot, "/healthz": http.StatusTeapot, "/assets/none.js": http.StatusTeapot} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// All files together are what the first paint takes.
func TestSize(t *testing.T) {
	site, err := web.NewSite(assets)
	if err != nil {
		t.Fatal(err)
	}
	if site.Compressed > 300<<10 {
		t.Errorf("the console takes %d kB", site.Compressed>>10)
	}
}
