// Package web serves the pages of the daemons' consoles: static files in the binary, a look that both consoles share,
// and headers that protect the reader of a page.
//
// Contract: a page loads nothing from elsewhere and runs only the binary's scripts (Content-Security-Policy:
// default-src 'none', no inline script or style, Trusted Types). No other page can frame it, and it tells no other site
// where it came from. The files have no data, which come from an API that requires a token. So they are served to
// anybody.
//
// assets/ has the files that both consoles use. A Site adds the files of one.
package web
