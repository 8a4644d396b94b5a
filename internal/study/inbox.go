package study

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Inbox is the folder where the daemon with this ledger looks for records.
func Inbox(ledgerPath string) string { return ledgerPath + ".inbox" }

// Post puts a record into an inbox, completely or not at all. Records are taken in the order in which they were posted.
func Post(inbox string, record *Record) (path string, err error) {
	b, err := record.Encode()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(inbox, ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // fails after the rename
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	path = filepath.Join(inbox, fmt.Sprintf("%020d-%s-%s-%.16s%s", time.Now().UnixNano(), record.Study, record.Act, record.id(), newSuffix))
	return path, os.Rename(f.Name(), path)
}

// Refused returns the reason why the record at path was refused, or "" if it was not.
func Refused(path string) string {
	b, _ := os.ReadFile(strings.TrimSuffix(path, newSuffix) + refusedSuffix)
	return strings.TrimSpace(string(b))
}

// Collect takes the records of an inbox and removes them. A refused record leaves a file with the reason. A record that
// the ledger could not take stays for the next time.
func (r *Registry) Collect(ctx context.Context, inbox string) error {
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(inbox) // sorted by name
	if err != nil {
		return err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), newSuffix) || strings.HasPrefix(f.Name(), ".") || !f.Type().IsRegular() {
			continue
		}
		path := filepath.Join(inbox, f.Name())
		if err := r.collect(ctx, path); errors.Is(err, ErrRecord) {
			r.log.Warn("a record of a study is refused", slog.String("file", path), slog.Any("error", err))
			if err := os.WriteFile(strings.TrimSuffix(path, newSuffix)+refusedSuffix, []byte(err.Error()+"\n"), 0o600); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) collect(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxRecord {
		return refuse("more than %d bytes", maxRecord)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	record, err := Decode(b)
	if err != nil {
		return err
	}
	return r.Take(ctx, record)
}
