package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
)

func newLedgerCommand() *cobra.Command {
	c := newGroup("ledger", "Read and verify a privacy ledger", `
A ledger is the durable, hash-chained record of all that ever left a daemon and of what
it cost in privacy. Only acknowledge, restore and rebuild write it, for which the daemon
is stopped.`)
	c.AddCommand(newLedgerShowCommand(), newLedgerVerifyCommand(), newLedgerExportCommand(), newLedgerReconcileCommand(), newLedgerAcknowledgeCommand(),
		newLedgerBackupCommand(), newLedgerRestoreCommand(), newLedgerRebuildCommand())
	return c
}

// listings are the formats of ledger show.
var listings = map[string]func(io.Writer, ...ledger.Entry) error{
	"text": ledger.WriteText, "json": ledger.WriteJSONLines, "csv": writeCSV,
}

func writeCSV(w io.Writer, all ...ledger.Entry) error { return ledger.WriteCSV(w, ',', all...) }

func newLedgerShowCommand() *cobra.Command {
	var file, format, kind string
	var from int64
	c := &cobra.Command{
		Use:   "show --file LEDGER",
		Short: "List what was asked, what left and what it cost",
		Long: `Lists the entries of a ledger, oldest first, each with a sentence in plain words.

    open     the ledger was created, or opened again
    config   the custodian's policy changed
    reserve  what was asked, once checked; it is recorded with its charge
    charge   the loss was spent, before the database ran; only charges count
    answer   what left: groups and bytes
    failure  a query failed after its charge; so many suspend its study here, until it is
             resumed
    refuse   a query was refused; a flood of refusals is counted, not listed
    abandon  a reservation that an earlier version recorded was given back
    study    a study was proposed, approved, narrowed, suspended, resumed or ended
    data     the data changed
    checkpoint  another daemon showed how far its own ledger is
    recover  a lost part of the ledger was acknowledged; its loss counts in every study

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
			// CSV has a header, so its entries are written in one call.
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
	var file, head, against string
	c := &cobra.Command{
		Use:   "verify --file LEDGER",
		Short: "Check that a ledger was not altered",
		Long: `Recomputes the chain of hashes over all entries, and exits with 1 if an entry was
changed, removed, moved, added or cut off.

The chain has no key: who can write the file could recompute all of it. Note the head that
this command prints, elsewhere, from time to time; --head HASH then proves that every
entry up to that one is still what it was. The other side notes it by itself: a coordinator's
ledger holds checkpoints that each node signed, and a node's those of the coordinator;
--against compares with all of them, and finds histories that diverge.`,
		Example: `  intramuros ledger verify --file node.ledger
  intramuros ledger verify --file node.ledger --head 9f86d081884c7d65…
  intramuros ledger verify --file node.ledger --against coordinator.ledger`,
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
			compared, err := compare(c.Context(), l, against)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "ledger   %s\n", report.Owner)
			fmt.Fprintf(w, "entries  %d, from %s to %s\n", report.Entries, report.First.Format(time.RFC3339), report.Last.Format(time.RFC3339))
			fmt.Fprintf(w, "charged  epsilon %.9g, rho %.9g (all studies together)\n", float64(report.Charged.Epsilon)*1e-9, float64(report.Charged.Rho)*1e-9)
			fmt.Fprintf(w, "head     %x\n", report.Head)
			if against != "" {
				fmt.Fprintf(w, "agrees   with %d signed checkpoints in %s\n", compared, against)
			}
			_, err = fmt.Fprintln(w, "whole    yes")
			return err
		},
	}
	c.Flags().StringVar(&file, "file", "", "the ledger")
	c.Flags().StringVar(&head, "head", "", "a head noted earlier, which must be in the ledger")
	c.Flags().StringVar(&against, "against", "", "the other side's ledger, whose checkpoints of this one must agree")
	return c
}

// compare checks a ledger against the checkpoints of it that another ledger keeps, and returns their number. One key
// must have signed all.
func compare(ctx context.Context, l *ledger.Ledger, against string) (n int, err error) {
	if against == "" {
		return 0, nil
	}
	other, err := ledger.OpenReadOnly(ctx, against)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	if _, err := other.Verify(ctx); err != nil {
		return 0, fmt.Errorf("%s: %w", against, err)
	}
	all, err := other.Checkpoints(ctx, l.Owner())
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("%s keeps no checkpoint of %s", against, l.Owner())
	}
	for _, c := range all {
		if err := c.Verify(all[0].Key); err != nil {
			return 0, fmt.Errorf("the checkpoint of entry %d: %w", c.Sequence, err)
		}
		if err := l.Compare(ctx, c); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

func newLedgerExportCommand() *cobra.Command {
	var file string
	var csv, jsonl bool
	var separator string
	c := &cobra.Command{
		Use:   "export --file LEDGER --csv|--jsonl",
		Short: "Write every entry, complete, for other programs",
		Long: `Writes every entry with all its fields to standard output: as CSV with a header, its losses
decimal numbers, or as JSON Lines, its losses in whole units (epsilon and rho of 1e-9,
deltas of 1e-18). The ledger is verified first.

The CSV opens in a spreadsheet: UTF-8 with a byte order mark, and an apostrophe before what would
be a formula. Spreadsheets in French and other languages that write 0,5 want --separator ";".
Programs read the JSON Lines, where nothing is changed.`,
		Example: `  intramuros ledger export --file node.ledger --csv > node.csv
  intramuros ledger export --file node.ledger --csv --separator ";" > registre.csv`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("file"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if csv == jsonl {
				return usageError{errors.New("give one of --csv and --jsonl")}
			}
			apart := []rune(separator)
			if len(apart) != 1 || !strings.ContainsRune(",;\t", apart[0]) {
				return usageError{errors.New("--separator is one of , and ; and a tab")}
			}
			l, err := ledger.OpenReadOnly(c.Context(), file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Close()) }()
			if _, err := l.Verify(c.Context()); err != nil {
				return err
			}
			out := bufio.NewWriter(c.OutOrStdout())
			defer func() { err = errors.Join(err, out.Flush()) }()
			if jsonl {
				return l.Entries(c.Context(), 1, func(e ledger.Entry) error { return ledger.WriteJSONLines(out, e) })
			}
			var all []ledger.Entry // they share a header
			if err := l.Entries(c.Context(), 1, func(e ledger.Entry) error { all = append(all, e); return nil }); err != nil {
				return err
			}
			return ledger.WriteCSV(out, apart[0], all...)
		},
	}
	c.Flags().StringVar(&file, "file", "", "the ledger")
	c.Flags().BoolVar(&csv, "csv", false, "as CSV, for a spreadsheet")
	c.Flags().StringVar(&separator, "separator", ",", "what stands between the fields of the CSV")
	c.Flags().BoolVar(&jsonl, "jsonl", false, "as JSON Lines")
	return c
}

func newLedgerReconcileCommand() *cobra.Command {
	var node, coordinator string
	c := &cobra.Command{
		Use:   "reconcile --node LEDGER --coordinator LEDGER",
		Short: "Compare a node's ledger with its coordinator's, query by query",
		Long: `Lists what a hospital charged and the coordinator did not, or otherwise, or in another's
name; and compares each ledger with the checkpoints of it that the other keeps. Exits with 1
if they differ in more than queries that failed. The ledgers may be copies, made with
ledger backup.`,
		Example: `  intramuros ledger reconcile --node node.ledger --coordinator coordinator.ledger`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("node", "coordinator"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			n, err := ledger.OpenReadOnly(c.Context(), node)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, n.Close()) }()
			h, err := ledger.OpenReadOnly(c.Context(), coordinator)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, h.Close()) }()
			for _, l := range []*ledger.Ledger{n, h} {
				if _, err := l.Verify(c.Context()); err != nil {
					return fmt.Errorf("%s: %w", l.Owner(), err)
				}
			}
			found, err := ledger.Reconcile(c.Context(), n, h)
			if err != nil {
				return err
			}
			w, wrong := c.OutOrStdout(), 0
			for _, d := range found {
				word := "DIFFERS"
				if d.Harmless {
					word = "failed "
				} else {
					wrong++
				}
				fmt.Fprintf(w, "%s  query %s: %s\n", word, d.Query, d.What)
			}
			for _, pair := range [][2]*ledger.Ledger{{n, h}, {h, n}} {
				all, err := pair[1].Checkpoints(c.Context(), pair[0].Owner())
				if err != nil {
					return err
				}
				for _, kept := range all {
					if err := errors.Join(kept.Verify(all[0].Key), pair[0].Compare(c.Context(), kept)); err != nil {
						fmt.Fprintf(w, "DIFFERS  %s, by what %s keeps: %v\n", pair[0].Owner(), pair[1].Owner(), err)
						wrong++
						break
					}
				}
				fmt.Fprintf(w, "%s keeps %d checkpoints of %s\n", pair[1].Owner(), len(all), pair[0].Owner())
			}
			if wrong > 0 {
				return errShown
			}
			_, err = fmt.Fprintln(w, "the ledgers agree")
			return err
		},
	}
	c.Flags().StringVar(&node, "node", "", "the node's ledger")
	c.Flags().StringVar(&coordinator, "coordinator", "", "the coordinator's ledger")
	return c
}

func newLedgerAcknowledgeCommand() *cobra.Command {
	var file, checkpoint, by, reason string
	c := &cobra.Command{
		Use:   "acknowledge --file LEDGER --checkpoint FILE --by NAME --reason TEXT",
		Short: "Acknowledge that a part of a ledger was lost, so that its daemon answers again",
		Long: `A daemon whose ledger lacks entries that it has signed a checkpoint of answers nothing: an
old backup was restored, or the end was cut off. It leaves the checkpoint that shows it in
LEDGER.ahead.json. Look for the newer ledger first: with it nothing is lost.

This command records that the rest is lost, by whom and why. What was charged there counts
from then on in every study and for every researcher, since nobody knows whose it was. Stop
the daemon before.`,
		Example: `  intramuros ledger acknowledge --file node.ledger --checkpoint node.ledger.ahead.json \
    --by claire --reason "the disk failed; restored from the night before"`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("file", "checkpoint", "by", "reason"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			b, err := os.ReadFile(checkpoint)
			if err != nil {
				return err
			}
			ahead, err := ledger.ParseCheckpoint(bytes.TrimSpace(b))
			if err != nil {
				return err
			}
			key, err := pki.LoadPublicKey(file + ".pub")
			if err != nil {
				return err
			}
			if err := ahead.Verify(key); err != nil {
				return err
			}
			if _, err := os.Stat(file); err != nil {
				return err
			}
			l, err := ledger.Open(c.Context(), file, ahead.Owner, time.Now)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Close()) }()
			lost, err := l.Recover(c.Context(), ahead, by, reason)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "acknowledged; epsilon %.9g, rho %.9g were lost and count in every study\n", float64(lost.Epsilon)*1e-9, float64(lost.Rho)*1e-9)
			return err
		},
	}
	c.Flags().StringVar(&file, "file", "", "the ledger; its daemon is stopped")
	c.Flags().StringVar(&checkpoint, "checkpoint", "", "the checkpoint that the daemon left beside its ledger")
	c.Flags().StringVar(&by, "by", "", "your name")
	c.Flags().StringVar(&reason, "reason", "", "what happened, in one sentence")
	return c
}

// contains checks that the ledger contains a hash that was noted earlier.
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
