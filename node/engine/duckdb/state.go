package duckdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/intramuros/intramuros/node/engine"
)

// A file system's clock ticks, so two writes within a tick may have the same time. So files are named only after none
// has changed for longer than a tick.
const (
	tick       = 50 * time.Millisecond
	coarseTick = 2 * time.Second // if times are whole seconds
	patience   = 5 * time.Second // how long files may keep changing
)

var errUnsettled = errors.New("files change all the time")

// state names the state of the data for as long as this process runs. The name covers the files that are read: their
// places on the disk, sizes and change times, which nobody can set. It waits until the files have settled. DuckDB keeps
// a .duckdb file open, so a file that replaces it is not read; a file that is written to is refused.
func (e *Engine) state(ctx context.Context) (string, error) {
	for began := time.Now(); ; {
		h, youngest, coarse := sha256.New(), time.Time{}, false
		for _, v := range e.views {
			if v.File == "" {
				continue
			}
			files, err := glob(v.File)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%q\n", v.File)
			for _, file := range files {
				at, err := stat(file)
				if errors.Is(err, fs.ErrNotExist) {
					continue // removed since it was listed
				}
				if err != nil {
					return "", err
				}
				fmt.Fprintf(h, "%q %s\n", file, at)
				if at.changed.After(youngest) {
					youngest = at.changed
				}
				coarse = coarse || at.changed.Nanosecond() == 0
			}
		}
		if e.database.path != "" {
			at, err := stat(e.database.path)
			switch {
			case err == nil && at.inode == e.database.inode && (at.size != e.database.size || !at.written.Equal(e.database.written)):
				return "", fmt.Errorf("%w: the database was written to while it was open; start the node anew", engine.ErrConfig)
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return "", err
			}
		}
		settled := tick
		if coarse {
			settled = coarseTick
		}
		wait := settled - time.Since(youngest)
		switch {
		case youngest.IsZero() || wait <= 0:
			return hex.EncodeToString(h.Sum(nil)), nil
		case time.Since(began) > patience:
			return "", errUnsettled
		}
		select {
		case <-time.After(min(wait, settled)):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// identity says where a file is and when it was last changed.
type identity struct {
	path             string
	inode            string
	size             int64
	written, changed time.Time // changed covers the contents and everything else about the file
}

// String differs for two states of a file.
func (i identity) String() string {
	return fmt.Sprintf("%s %d %d %d", i.inode, i.size, i.written.UnixNano(), i.changed.UnixNano())
}

// stat returns the identity of the file of that name.
func stat(path string) (identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return identity{}, err
	}
	inode, changed := onDisk(path, nil, info)
	return identity{path, inode, info.Size(), info.ModTime(), changed}, nil
}

// statOpen is stat for a file that can be read. Opening it makes a network file system look at it again.
func statOpen(path string) (identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return identity{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return identity{}, err
	}
	inode, changed := onDisk(path, f, info)
	return identity{path, inode, info.Size(), info.ModTime(), changed}, nil
}
