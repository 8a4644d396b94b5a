package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/intramuros/intramuros/internal/web"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

//go:embed assets
var assets embed.FS

// NewHandler serves the console at "/" and its files below "/assets/". Everything else is the API's.
func NewHandler(api http.Handler) (http.Handler, error) {
	site, err := newSite()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site.Has(r.URL.Path) {
			site.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}), nil
}

func newSite() (*web.Site, error) {
	site, err := web.NewSite(assets)
	if err != nil {
		return nil, err
	}
	words, err := vocabulary()
	if err != nil {
		return nil, err
	}
	return site, site.Add("assets/words.js", words)
}

// vocabulary is a JavaScript module with the words and functions that the planner reads, for colours and completion.
func vocabulary() ([]byte, error) {
	functions := map[string]string{} // the arguments in the brackets, by function name in capitals
	for _, f := range planner.Functions() {
		name, rest, _ := strings.Cut(f.Usage, "(")
		functions[name] = strings.TrimSuffix(rest, ")")
	}
	listed, err := json.Marshal(functions)
	if err != nil {
		return nil, err
	}
	words, err := json.Marshal(syntax.Words())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "// Of the planner's own tables.\nexport const functions = %s;\nexport const words = %s;\n", listed, words), nil
}
