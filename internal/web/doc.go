// Package web serves the pages of the daemons' consoles: static files that are in the
// binary, a look that both consoles share, and what keeps a page from being turned
// against its reader.
//
// Contract: a page loads nothing from elsewhere and runs no script but the binary's
// (Content-Security-Policy: default-src 'none', no inline script or style, Trusted
// Types), is framed by nobody, and tells no other site where it came from. The files
// hold no data: that comes from an API that asks for a token, and so they are served
// to anybody.
//
// assets/ holds what both consoles use; a Site adds the files of one.
package web
