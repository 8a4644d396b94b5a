package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/ledger"
)

// besides are the files beside a ledger that its daemon needs to be recognized: its signing key, and a node's group
// key.
func besides(file string) []string {
	return []string{file + ".key", file + ".pub", filepath.Join(filepath.Dir(file), "group.key")}
}

func newLedgerBackupCommand() *cobra.Command {
	var file, to string
	var every time.Duration
	c := &cobra.Command{
		Use:   "backup --file LEDGER --to FOLDER",
		Short: "Copy a ledger and its keys, also while its daemon runs",
		Long: `Brings the copy of a ledger in a folder up to date, and verifies what it adds. The daemon may
run. The first time all is copied; later only what came since. A copy that is no earlier state
of the ledger is left as it is, and the command fails: an old ledger never replaces a newer
backup.

The keys beside the ledger (LEDGER.key, LEDGER.pub, a node's group.key) are copied too: they
are secrets, and a daemon restored without them is a stranger to the others. Keep the folder on
another machine's disk.

--every 5s goes on until it is stopped: a hot standby, which lacks at most what happened in the
last five seconds. Of a coordinator's ledger, ledger rebuild brings that back from the hospitals.`,
		Example: `  intramuros ledger backup --file /var/lib/intramuros/node.ledger --to /backup/intramuros
  intramuros ledger backup --file coordinator.ledger --to /mnt/standby --every 5s`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("file", "to"),
		RunE: func(c *cobra.Command, _ []string) error {
			if every < 0 || every > 0 && every < 100*time.Millisecond {
				return usageError{errors.New("--every must be 100ms or more")}
			}
			if err := os.MkdirAll(to, 0o700); err != nil {
				return err
			}
			for {
				err := backup(c.Context(), c.OutOrStdout(), file, to, every > 0)
				if every == 0 {
					return err
				}
				if err != nil && c.Context().Err() == nil {
					fmt.Fprintln(c.ErrOrStderr(), "intramuros: no backup was made now, and it is tried again:", err)
				}
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(every):
				}
			}
		},
	}
	c.Flags().StringVar(&file, "file", "", "the ledger")
	c.Flags().StringVar(&to, "to", "", "the `folder` of the backup; it is made for its owner's eyes only")
	c.Flags().DurationVar(&every, "every", 0, "go on, with so much time between two backups")
	return c
}

// backup makes a backup. With quiet it prints changes only.
func backup(ctx context.Context, out io.Writer, file, to string, quiet bool) (err error) {
	l, err := ledger.OpenReadOnly(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	added, err := l.Backup(ctx, filepath.Join(to, filepath.Base(file)))
	if err != nil {
		return err
	}
	for _, from := range besides(file) {
		if err := copyKey(from, filepath.Join(to, filepath.Base(from))); err != nil {
			return err
		}
	}
	if quiet && added == 0 {
		return nil
	}
	sequence, head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s  %d entries added, to entry %d or later; head %x\n", time.Now().UTC().Format(time.RFC3339), added, sequence, head)
	return err
}

// copyKey copies a small file, if it exists. A different file at the destination stays, and is an error: a key is made
// once.
func copyKey(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := os.ReadFile(to)
	switch {
	case err == nil && bytes.Equal(have, b):
		return nil
	case err == nil:
		return fmt.Errorf("%s is another file than %s; a key is made once: find out which of the two is in use", to, from)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func newLedgerRestoreCommand() *cobra.Command {
	var from, file string
	c := &cobra.Command{
		Use:   "restore --from FOLDER --file LEDGER",
		Short: "Put a backup of a ledger and its keys where its daemon looks for them",
		Long: `Verifies the ledger in a folder that ledger backup made, and puts a copy of it, and of its
keys, to LEDGER. Nothing may be there: move what is there away, and keep it. The daemon is stopped.

What was charged after the backup is missing then, and the other side knows: the daemon answers
nothing until that is settled. For a coordinator: intramuros ledger rebuild. For a node: intramuros
ledger acknowledge, as its log says.`,
		Example: `  intramuros ledger restore --from /backup/intramuros --file /var/lib/intramuros/node.ledger`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("from", "file"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return err
			}
			for _, key := range besides(file) {
				if err := copyKey(filepath.Join(from, filepath.Base(key)), key); err != nil {
					return err
				}
			}
			report, err := ledger.Restore(c.Context(), filepath.Join(from, filepath.Base(file)), file)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "restored the ledger of %s: %d entries, the last of %s; head %x\n",
				report.Owner, report.Entries, report.Last.Format(time.RFC3339), report.Head)
			return err
		},
	}
	c.Flags().StringVar(&from, "from", "", "the `folder` of the backup")
	c.Flags().StringVar(&file, "file", "", "where the ledger belongs, with the name that it has in the backup")
	return c
}
