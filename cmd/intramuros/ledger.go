package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/ledger"
)

func newLedgerCommand() *cobra.Command {
	c := newGroup("ledger", "Read and verify a privacy ledger", `
A ledger is the durable, hash-chained record of all that ever left a daemon and of what
it cost in privacy. These commands only read it; the daemon may be running.`)
	c.AddCommand(newLedgerShowCommand(), newLedgerVerifyCommand())
	return c
}

// listings are the formats of ledger show.
var listings = map[string]func(io.Writer, ...ledger.Entry) error{
	"text": ledger.WriteText, "json": ledger.WriteJSONLines, "csv": ledger.WriteCSV,
}

func newLedgerShowCommand() *cobra.Command {
	var file, format, kind string
	var from int64
	c := &cobra.Command{
		Use:   "show --file LEDGER",
		Short: "List what was asked, what left and what it cost",
		Long: `Lists the entries of a ledger, oldest first, each with a sentence in plain words.

    open     the ledger was created, or opened again
    config   the custodian's policy changed
    reserve  a loss was set aside for a query that was checked
    charge   the loss was spent, before the database ran; only charges count
    abandon  a reservation was given back; it costs nothing
    refuse   a query was refused
    answer   what left: groups and bytes
    study    a study was opened, changed or closed

--format json prints one entry a line with everything: the fragment, the SQL that ran,
sizes, hashes. Losses are in whole units there: epsilon and rho of 1e-9, deltas of 1e-18.`,
		Example: `  intramuros ledger show --file node.ledger
  intramuros ledger show --file node.ledger --kind charge --format csv > charges.csv`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("file"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			write, ok := listings[format]
			if !ok {
				return usageError{fmt.Errorf("--format is %q; give text, json or csv", format)}
			}
			l, err := ledger.OpenReadOnly(c.Context(), file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Close()) }()
			// CSV has a header, so its entries are written together.
			var batch []ledger.Entry
			if err := l.Entries(c.Context(), from, func(e ledger.Entry) error {
				if kind != "" && string(e.Kind) != kind {
					return nil
				}
				batch = append(batch, e)
				return nil
			}); err != nil {
				return err
			}
			return write(c.OutOrStdout(), batch...)
		},
	}
	c.Flags().StringVar(&file, "file", "", "the ledger")
	c.Flags().StringVar(&format, "format", "text", "text, json (one entry a line) or csv")
	c.Flags().StringVar(&kind, "kind", "", "only entries of this kind, such as charge")
	c.Flags().Int64Var(&from, "from", 1, "number of the first entry")
	return c
}

func newLedgerVerifyCommand() *cobra.Command {
	var file, head string
	c := &cobra.Command{
		Use:   "verify --file LEDGER",
		Short: "Check that a ledger was not altered",
		Long: `Recomputes the chain of hashes over all entries, and exits with 1 if an entry was
changed, removed, moved, added or cut off.

The chain has no key: who can write the file could recompute all of it. Note the head that
this command prints, elsewhere, from time to time; --head HASH then proves that every
entry up to that one is still what it was.`,
		Example: `  intramuros ledger verify --file node.ledger
  intramuros ledger verify --file node.ledger --head 9f86d081884c7d65…`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("file"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if b, err := hex.DecodeString(head); err != nil || head != "" && len(b) != 32 {
				return usageError{errors.New("--head must be the 64 hexadecimal digits that an earlier verify printed")}
			}
			l, err := ledger.OpenReadOnly(c.Context(), file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Close()) }()
			report, err := l.Verify(c.Context())
			if err != nil {
				return err
			}
			if err := contains(c, l, head); err != nil {
				return err
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "ledger   %s\n", report.Owner)
			fmt.Fprintf(w, "entries  %d, from %s to %s\n", report.Entries, report.First.Format(time.RFC3339), report.Last.Format(time.RFC3339))
			fmt.Fprintf(w, "charged  epsilon %.9g, rho %.9g (all studies together)\n", float64(report.Charged.Epsilon)*1e-9, float64(report.Charged.Rho)*1e-9)
			fmt.Fprintf(w, "head     %x\n", report.Head)
			_, err = fmt.Fprintln(w, "whole    yes")
			return err
		},
	}
	c.Flags().StringVar(&file, "file", "", "the ledger")
	c.Flags().StringVar(&head, "head", "", "a head noted earlier, which must be in the ledger")
	return c
}

// contains checks that a hash noted earlier is one of the ledger's.
func contains(c *cobra.Command, l *ledger.Ledger, head string) error {
	if head == "" {
		return nil
	}
	var found []int64
	if err := l.Entries(c.Context(), 1, func(e ledger.Entry) error {
		if strings.EqualFold(hex.EncodeToString(e.Hash[:]), head) {
			found = append(found, e.Sequence)
		}
		return nil
	}); err != nil {
		return err
	}
	if slices.Max(append(found, 0)) == 0 {
		return errors.New("the head is not in the ledger: entries were rewritten, cut off or replaced since it was noted")
	}
	return nil
}
