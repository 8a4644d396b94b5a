//go:build !unix

package duckdb

import (
	"io/fs"
	"os"
	"time"
)

// onDisk only knows when a file was written.
func onDisk(_ string, _ *os.File, info fs.FileInfo) (inode string, changed time.Time) {
	return "", info.ModTime()
}
