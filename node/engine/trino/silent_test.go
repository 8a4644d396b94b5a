package trino

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/intramuros/intramuros/node/engine"
)

// TestSilentServer checks that a server that answers neither a query nor its cancellation delays nobody.
func TestSilentServer(t *testing.T) {
	for _, silent := range []string{http.MethodPost, http.MethodGet} {
		released := make(chan struct{})
		var cancels int
		s := httptest.NewUnstartedServer(nil)
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				cancels++
			}
			if r.Method == silent || r.Method == http.MethodDelete {
				select {
				case <-released:
				case <-r.Context().Done():
				}
				return
			}
			fmt.Fprintf(w, `{"id": "q1", "infoUri": "%[1]s/info", "nextUri": "%[1]s/v1/statement/q1/1", "stats": {"state": "QUEUED"}}`, s.URL)
		})
		s.Start()
		d, err := connect(Config{URL: s.URL, Catalog: "memory", Schema: "s", User: "intramuros", DataVersion: "one"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		begun := time.Now()
		err = d.Query(ctx, "SELECT 1", false, func([]any) error { return nil })
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, engine.ErrDatabase) || took > 3*time.Second {
			t.Errorf("silent at %s, after %v: %v", silent, took, err)
		}
		cancel()
		close(released)
		s.Close()
		if silent == http.MethodGet && cancels != 1 {
			t.Errorf("the server was told %d times that the query is cancelled", cancels)
		}
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}
}
