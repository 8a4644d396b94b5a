package duckdb

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/node/engine/compile"
)

// sampled is how much of a file's beginning and of its end the data version
// covers: the header of a .duckdb file counts its commits, and a Parquet file's
// footer holds its statistics.
const sampled = 64 << 10

// DataVersion is 32 hex digits that change when the data does: a digest, keyed
// by the node's secret so that it can be neither guessed nor compared between
// nodes, of the files' names, sizes, times and both ends, and of the views. A
// .duckdb file that is replaced counts once the engine is opened anew, for until
// then the old one is read. It returns an error where a file cannot be read. Files
// that nobody has touched since they were read are not read again.
func (e *Engine) DataVersion(ctx context.Context) (string, error) {
	began := time.Now()
	files, err := e.files(ctx)
	if err != nil {
		return "", err
	}
	var names strings.Builder
	for _, f := range files {
		fmt.Fprintf(&names, "%q %s\n", f.path, f)
	}
	beside := e.besideNow() // with files that are not read the data is other data, which is looked at before it is answered over
	names.WriteString(beside)
	if last := e.version.Load(); last != nil && last.files == names.String() {
		return last.version, nil
	}
	mac := hmac.New(sha256.New, e.dataKey[:])
	mac.Write(e.attached)
	for _, v := range e.views {
		fmt.Fprintf(mac, "%q %q\n", v.Table.Name, v.Select(e.driver, compile.DuckDB, nil))
	}
	mac.Write([]byte(beside))
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := digest(mac, f.path); err != nil {
			return "", fmt.Errorf("the data's version cannot be told: %w", err)
		}
	}
	version := hex.EncodeToString(mac.Sum(nil)[:16])
	// Whoever writes from now on to a file whose last change is that old gives it another time of change.
	if !slices.ContainsFunc(files, func(f identity) bool { return f.inode == "" || began.Sub(f.changed) < coarseTick }) {
		e.version.Store(&versioned{names.String(), version})
	}
	return version, nil
}

// versioned is the version of the data in files that are told apart by this text.
type versioned struct{ files, version string }

// files are those of the data, in an order that their names give.
func (e *Engine) files(ctx context.Context) ([]identity, error) {
	var patterns []string
	for _, v := range e.views {
		patterns = append(patterns, v.File)
	}
	for _, name := range slices.Sorted(maps.Keys(e.inside)) {
		patterns = append(patterns, e.inside[name].File)
	}
	var all []identity
	for _, pattern := range patterns {
		if pattern == "" {
			continue
		}
		matches, err := glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range matches { // sorted by name
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			at, err := statOpen(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone since it was listed, as a write-ahead log may be
			}
			if err != nil {
				return nil, fmt.Errorf("the data's version cannot be told: %w", err)
			}
			all = append(all, at)
		}
	}
	return all, nil
}

func digest(w io.Writer, file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since it was listed, as a write-ahead log may be
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%q %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	if _, err := io.Copy(w, io.NewSectionReader(f, 0, sampled)); err != nil {
		return err
	}
	_, err = io.Copy(w, io.NewSectionReader(f, max(0, info.Size()-sampled), sampled))
	return err
}
