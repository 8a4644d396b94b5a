//go:build unix

package duckdb

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// onDisk returns a file's place on the disk and its last change time. It looks at the open file, or if that is nil at
// the file of that name.
func onDisk(path string, open *os.File, info fs.FileInfo) (inode string, changed time.Time) {
	var at unix.Stat_t
	var err error
	if open != nil {
		err = unix.Fstat(int(open.Fd()), &at)
	} else {
		err = unix.Stat(path, &at)
	}
	if err != nil {
		return "", info.ModTime()
	}
	return fmt.Sprintf("%d:%d", at.Dev, at.Ino), time.Unix(at.Ctim.Unix())
}
