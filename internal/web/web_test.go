package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, s *Site, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func site(t *testing.T) *Site {
	t.Helper()
	s, err := NewSite(fstest.MapFS{"assets/index.html": {Data: []byte("<!doctype html>")}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSite(t *testing.T) {
	s := site(t)
	for _, path := range []string{"/", "/assets/index.html", "/assets/base.css"} {
		response := get(t, s, "GET", path, "Accept-Encoding", "gzip")
		if response.StatusCode != 200 || response.Header.Get("Content-Encoding") != "gzip" || !s.Has(path) {
			t.Fatalf("%s: %v", path, response)
		}
		z, err := gzip.NewReader(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(get(t, s, "GET", path).Body)
		if err != nil || string(packed) != string(plain) {
			t.Errorf("%s: gzip holds another text (%v)", path, err)
		}
		if again := get(t, s, "GET", path, "If-None-Match", response.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", path, again.Status)
		}
	}
	if got := get(t, s, "GET", "/assets/../web.go").StatusCode; got != 404 {
		t.Errorf("a file that is not there: %d", got)
	}
	if got := get(t, s, "POST", "/").StatusCode; got != 405 {
		t.Errorf("POST: %d", got)
	}
	if _, err := NewSite(fstest.MapFS{"assets/a.exe": {}}); err == nil {
		t.Error("a site takes any file")
	}
}

// Only files of the site may run, whatever an answer contains.
func TestPolicy(t *testing.T) {
	response := get(t, site(t), "GET", "/")
	given := response.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(given, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if regexp.MustCompile(`unsafe|\*|https?:`).MatchString(given) {
		t.Errorf("the policy is open: %s", given)
	}
	if response.Header.Get("X-Content-Type-Options") != "nosniff" || response.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", response.Header)
	}
}
