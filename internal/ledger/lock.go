package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes the file path+".lock" for this process alone. Closing it, or the end of the process, frees it. It is a
// separate file because closing any descriptor of a database file would drop SQLite's POSIX locks on it.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s; stop the other daemon first, or only read the ledger", ErrLocked, path)
		}
		return nil, fmt.Errorf("%s.lock: %w", path, err)
	}
	return f, nil
}

// resolve returns the one canonical name of a file, so that two paths to it share a lock. The file may be missing, but
// not its directory.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(path); err == nil {
		return filepath.EvalSymlinks(path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// create makes an empty file that only its owner can read, and makes its name durable. An existing file is left alone.
func create(path string) error {
	info, err := os.Stat(path)
	if err == nil {
		if info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("others than its owner may write %s; run: chmod 600 %s", path, path)
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
