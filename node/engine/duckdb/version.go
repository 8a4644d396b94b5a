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
// then the old one is read. It returns an error where a file cannot be read.
func (e *Engine) DataVersion(ctx context.Context) (string, error) {
	mac := hmac.New(sha256.New, e.dataKey[:])
	mac.Write(e.attached)
	for _, v := range e.views {
		fmt.Fprintf(mac, "%q %q\n", v.Table.Name, v.Select(e.driver, compile.DuckDB, nil))
	}
	var patterns []string
	for _, v := range e.views {
		patterns = append(patterns, v.File)
	}
	for _, name := range slices.Sorted(maps.Keys(e.inside)) {
		patterns = append(patterns, e.inside[name].File)
	}
	for _, pattern := range patterns {
		if pattern == "" {
			continue
		}
		matches, err := glob(pattern)
		if err != nil {
			return "", err
		}
		for _, file := range matches { // sorted by name
			if err := ctx.Err(); err != nil {
				return "", err
			}
			if err := digest(mac, file); err != nil {
				return "", fmt.Errorf("the data's version cannot be told: %w", err)
			}
		}
	}
	return hex.EncodeToString(mac.Sum(nil)[:16]), nil
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
