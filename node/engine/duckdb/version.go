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

// sampled is the number of bytes at each end of a file that the data version covers. The header of a .duckdb file
// counts its commits, and the footer of a Parquet file holds its statistics.
const sampled = 64 << 10

// DataVersion returns 32 hex digits that change when the data changes. They are a digest of the files' names, sizes,
// times and both ends, and of the views. The node's secret is its key, so nobody can guess it or compare it between
// nodes. A .duckdb file that is replaced counts once the engine is opened again, because until then the old file is
// read. Files that did not change since they were last read are not read again. It returns an error if a file cannot be
// read.
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
	// A later write to a file whose last change is that old gets another time of change.
	if !slices.ContainsFunc(files, func(f identity) bool { return f.inode == "" || began.Sub(f.changed) < coarseTick }) {
		e.version.Store(&versioned{names.String(), version})
	}
	return version, nil
}

// versioned is the data version of the files in this state.
type versioned struct{ files, version string }

// files returns the data files, sorted by name.
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
