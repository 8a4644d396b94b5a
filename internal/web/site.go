package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var shared embed.FS

// policy is the Content-Security-Policy of every file. blob: and data: are for charts that the page itself draws and
// saves as pictures.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Site is a handler of static files, by path. Its index.html is at "/".
type Site struct {
	files map[string]file
	// Compressed is the size of all files as they are sent, in bytes. Nothing else is loaded before a page is drawn.
	Compressed int
}

type file struct {
	kind, tag     string
	plain, packed []byte // packed by gzip
}

// kinds are the allowed file types of a Site. They do not depend on the machine's tables.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// NewSite is the site of the shared files and those of folder, an embedded folder named assets.
func NewSite(folder fs.FS) (*Site, error) {
	s := &Site{files: map[string]file{}}
	for _, from := range []fs.FS{shared, folder} {
		if err := fs.WalkDir(from, "assets", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return s.add(from, name)
		}); err != nil {
			return nil, err
		}
	}
	s.files["/"] = s.files["/assets/index.html"]
	return s, nil
}

func (s *Site) add(from fs.FS, name string) error {
	b, err := fs.ReadFile(from, name)
	if err != nil {
		return err
	}
	return s.Add(name, b)
}

// Add adds a file that is made when the daemon starts, before the site is served. Its name is like assets/x.js.
func (s *Site) Add(name string, b []byte) error {
	f := file{kind: kinds[path.Ext(name)], plain: b}
	if f.kind == "" {
		return fmt.Errorf("%s: a site has no files of type %s", name, mime.TypeByExtension(path.Ext(name)))
	}
	sum := sha256.Sum256(b)
	f.tag = `"` + hex.EncodeToString(sum[:12]) + `"`
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(b); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	f.packed = packed.Bytes()
	s.Compressed += len(f.packed)
	s.files["/"+name] = f
	return nil
}

// Has reports whether the site has a file at the path.
func (s *Site) Has(path string) bool {
	_, ok := s.files[path]
	return ok
}

// ServeHTTP answers GET and HEAD.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	f, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "this path takes GET", http.StatusMethodNotAllowed)
		return
	}
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache") // a browser asks each time whether the binary has changed
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	body := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}
