package console

import (
	"embed"
	"net/http"

	"github.com/intramuros/intramuros/internal/web"
)

//go:embed assets
var assets embed.FS

// NewHandler serves the console at "/" and its files below "/assets/"; all else is the API's.
func NewHandler(api http.Handler) (http.Handler, error) {
	site, err := web.NewSite(assets)
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
