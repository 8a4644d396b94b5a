package console_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/intramuros/intramuros/coordinator/console"
)

// The console and the API share an address.
func ExampleNewHandler() {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "the API's %s", r.URL.Path) })
	handler, err := console.NewHandler(api)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/", "/v1/me"} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		first, _, _ := bufio.NewReader(answer.Body).ReadLine()
		fmt.Printf("%d %s\n", answer.Code, first)
	}
	// Output:
	// 200 <!doctype html>
	// 200 the API's /v1/me
}

// What the planner reads, the console colours and completes.
func ExampleNewHandler_vocabulary() {
	handler, err := console.NewHandler(http.NotFoundHandler())
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/assets/words.js", http.NoBody))
	words, err := io.ReadAll(answer.Body)
	fmt.Println(answer.Header().Get("Content-Type"), len(words) > 1000, err)
	// Output: text/javascript; charset=utf-8 true <nil>
}
