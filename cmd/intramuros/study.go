package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

func newStudyCommand() *cobra.Command {
	c := newGroup("study", "Propose, approve, suspend and end studies", `
A study is an approved project: who may ask, for what, over which tables and columns, and
how much privacy it may cost. The operator proposes it to the coordinator, which passes it
on to the nodes. At each hospital the custodian decides; without approval there, no query
of the study reaches that hospital's data.

Each act is signed with the Ed25519 key of the person (intramuros pki key) and kept in the
ledger of the daemon. The daemon takes it within a second while it runs, or else when it
starts; --file is its ledger.`)
	c.AddCommand(newStudyProposeCommand(), newStudyListCommand(), newStudyShowCommand(), newStudyApproveCommand(),
		newStudyCloseCommand(study.Suspend, "Refuse a study's queries for now", "until it is approved again"),
		newStudyCloseCommand(study.End, "Refuse a study's queries for ever", "for good; its record stays"))
	return c
}

// signing is who signs, and for which daemon.
type signing struct {
	file, key, by, reason string
}

func (s *signing) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "file", "", "the ledger of the daemon that it is for")
	c.Flags().StringVar(&s.key, "key", "", "your signing key, from intramuros pki key")
	c.Flags().StringVar(&s.by, "by", "", "your name in the daemon's configuration (default: the key's file name)")
	c.Flags().StringVar(&s.reason, "reason", "", "why, in one sentence, for the ledger")
}

func (s *signing) signer() (ed25519.PrivateKey, error) {
	if s.by == "" {
		s.by = strings.TrimSuffix(filepath.Base(s.key), ".key")
	}
	return pki.LoadSigningKey(s.key)
}

// registry reads the studies of a ledger. Signatures are the daemon's to check.
func registry(ctx context.Context, file string) (*study.Registry, study.Place, error) {
	l, err := ledger.OpenReadOnly(ctx, file)
	if err != nil {
		return nil, study.Place{}, err
	}
	defer l.Close()
	place, err := placeOf(l.Owner())
	if err != nil {
		return nil, place, err
	}
	r, err := study.Load(ctx, l, place, slog.New(slog.DiscardHandler))
	return r, place, err
}

// placeOf reads a ledger's owner: "node lyon", or "coordinator france".
func placeOf(owner string) (study.Place, error) {
	kind, name, _ := strings.Cut(owner, " ")
	switch kind {
	case "node":
		return study.Place{Hospital: name}, nil
	case "coordinator":
		return study.Place{Federation: name}, nil
	}
	return study.Place{}, fmt.Errorf("%q is the owner of neither a node's nor a coordinator's ledger", owner)
}

// deliver posts a record, and waits a while for the daemon to take it.
func deliver(c *cobra.Command, file string, r *study.Record) error {
	path, err := study.Post(study.Inbox(file), r)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(c.Context(), 5*time.Second)
	defer cancel()
	for {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if why := study.Refused(path); why != "" {
				return errors.New(why)
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), r.Sentence())
			return err
		}
		select {
		case <-wait.Done():
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s\nThe daemon does not run, or is busy: it will take this when it starts. Until then it waits in %s\n", r.Sentence(), path)
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func newStudyProposeCommand() *cobra.Command {
	var s signing
	var federation, out string
	c := &cobra.Command{
		Use:   "propose DOCUMENT --file LEDGER --key KEY",
		Short: "Propose a study, or its next version",
		Long: `Signs a study's document, a YAML file that docs/study.yaml explains, and gives it to the
coordinator whose ledger is --file: it holds there at once, and the hospitals hear of it.
--out writes the signed proposal into a file instead, for a node that is not connected.`,
		Example: `  intramuros study propose diabetes.yaml --file coordinator.ledger --key olga.key`,
		Args:    arguments(cobra.ExactArgs(1)),
		PreRunE: require("key"),
		RunE: func(c *cobra.Command, args []string) error {
			var d study.Document
			if err := config.Load(args[0], &d); err != nil {
				return err
			}
			if err := d.Validate(); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			key, err := s.signer()
			if err != nil {
				return err
			}
			if federation == "" {
				_, place, err := registry(c.Context(), s.file)
				if err != nil {
					return fmt.Errorf("%w; give --federation where the coordinator has not run yet", err)
				}
				federation = place.Federation
			}
			r := &study.Record{Act: study.Propose, Study: d.ID, Federation: federation, Document: &d, By: s.by, Time: time.Now(), Reason: s.reason}
			if err := r.Sign(key); err != nil {
				return err
			}
			if out == "" {
				if s.file == "" {
					return usageError{errors.New("give --file, the coordinator's ledger, or --out")}
				}
				return deliver(c, s.file, r)
			}
			b, err := r.Encode()
			if err != nil {
				return err
			}
			return os.WriteFile(out, append(b, '\n'), 0o600)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&federation, "federation", "", "the federation's name (default: as the ledger says)")
	c.Flags().StringVar(&out, "out", "", "write the signed proposal to this file")
	return c
}

func newStudyListCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "list --file LEDGER",
		Short: "List the studies that a daemon knows, and how they stand there",
		Args:  arguments(cobra.NoArgs), PreRunE: require("file"),
		Example: `  intramuros study list --file node.ledger`,
		RunE: func(c *cobra.Command, _ []string) error {
			r, _, err := registry(c.Context(), file)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "STUDY\tSTATUS\tVERSION\tEXPIRES\tTITLE")
			for _, s := range r.All() {
				d := s.Holds
				if d == nil {
					d = s.Proposal
				}
				status := string(s.Status)
				if s.Failed {
					status += fmt.Sprintf(" after %d failed queries", s.Failures)
				}
				if s.Open(time.Now()) && s.Proposal != nil && s.Proposal.Version > d.Version {
					status += fmt.Sprintf(" (version %d waits)", s.Proposal.Version)
				}
				if !time.Now().Before(d.Expires) {
					status += ", expired"
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", s.ID, status, d.Version, d.Expires.Format(time.DateOnly), d.Title)
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&file, "file", "", "the daemon's ledger")
	return c
}

func newStudyShowCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "show STUDY --file LEDGER",
		Short: "Show a study in plain words",
		Args:  arguments(cobra.ExactArgs(1)), PreRunE: require("file"),
		Example: `  intramuros study show diabetes-2027 --file node.ledger`,
		RunE: func(c *cobra.Command, args []string) error {
			r, _, err := registry(c.Context(), file)
			if err != nil {
				return err
			}
			s, ok := r.Study(args[0])
			if !ok {
				return fmt.Errorf("this ledger knows no study %q; see: intramuros study list", args[0])
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "study        %s, %s\n", s.ID, s.Status)
			fmt.Fprintf(w, "last act     %s\n", s.Last.Sentence())
			if s.Failures > 0 {
				fmt.Fprintf(w, "failures     %d queries failed after they were charged since the last approval", s.Failures)
				if s.Failed {
					fmt.Fprint(w, ": the study is suspended here until it is approved again")
				}
				fmt.Fprintln(w)
			}
			if s.Holds != nil {
				fmt.Fprintf(w, "\nWhat holds here:\n")
				writeDocument(w, s.Holds)
			}
			if s.Proposal != nil && (s.Holds == nil || s.Proposal.Digest() != s.Holds.Digest()) {
				fmt.Fprintf(w, "\nWhat is proposed:\n")
				writeDocument(w, s.Proposal)
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "file", "", "the daemon's ledger")
	return c
}

func writeDocument(out io.Writer, d *study.Document) {
	var tables []string
	for t, columns := range d.Tables {
		tables = append(tables, fmt.Sprintf("%s (%s)", t, strings.Join(columns, ", ")))
	}
	slices.Sort(tables)
	hospitals := strings.Join(d.Hospitals, ", ")
	if hospitals == "" {
		hospitals = "all"
	}
	var aggregates []string
	for _, a := range d.Aggregates {
		aggregates = append(aggregates, string(a))
	}
	leaves := "exact sums; the coordinator adds the noise"
	if d.Sealed {
		leaves = "only numbers to which the hospital has added its own noise (sealed)"
	}
	for _, line := range []struct{ name, text string }{
		{"version", fmt.Sprint(d.Version)}, {"title", d.Title}, {"purpose", d.Purpose}, {"legal basis", d.LegalBasis},
		{"may ask", strings.Join(d.Investigators, ", ")}, {"hospitals", hospitals}, {"tables", strings.Join(tables, "; ")},
		{"aggregates", strings.Join(aggregates, ", ")},
		{"budget", fmt.Sprintf("epsilon %g, delta %g in all (%s)", d.Budget.Epsilon, d.Budget.Delta, d.Budget.Accounting)},
		{"one query", fmt.Sprintf("at most epsilon %g, each release at least %g; %g unless it says otherwise", d.MaxEpsilon, d.LeastEpsilon(), d.DefaultEpsilon)},
		{"what leaves", leaves}, {"until", d.Expires.Format(time.RFC3339)}, {"digest", d.Digest()},
	} {
		fmt.Fprintf(out, "  %-12s %s\n", line.name, printable(line.text))
	}
}

func newStudyApproveCommand() *cobra.Command {
	var s signing
	var proposal, document, until string
	var epsilon, maxEpsilon, minEpsilon float64
	var sealed bool
	c := &cobra.Command{
		Use:   "approve STUDY --file LEDGER --key KEY",
		Short: "Approve a study at your hospital, as proposed or narrower",
		Long: `Approves the latest proposal of a study at the hospital whose node's ledger is --file, or
opens a suspended one again, also one that too many failed queries have suspended; these are
counted anew then. --epsilon, --max-epsilon, --min-epsilon, --sealed and --until narrow it; --document
takes a whole document, a YAML file, that may be narrower in any part: fewer people, tables,
columns or aggregates. Nothing can be allowed that is not proposed.`,
		Example: `  intramuros study show diabetes-2027 --file node.ledger
  intramuros study approve diabetes-2027 --file node.ledger --key claire.key --epsilon 5`,
		Args:    arguments(cobra.ExactArgs(1)),
		PreRunE: require("file", "key"),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := s.signer()
			if err != nil {
				return err
			}
			r, place, err := registry(c.Context(), s.file)
			if err != nil {
				return err
			}
			offer, number, err := offered(r, args[0], proposal)
			if err != nil {
				return err
			}
			d := *offer.Document
			if document != "" {
				d = study.Document{}
				if err := config.Load(document, &d); err != nil {
					return err
				}
			}
			if epsilon > 0 {
				d.Budget.Epsilon = epsilon
			}
			if maxEpsilon > 0 {
				d.MaxEpsilon = maxEpsilon
				d.DefaultEpsilon = min(d.DefaultEpsilon, maxEpsilon)
			}
			if minEpsilon > 0 {
				d.MinEpsilon = minEpsilon
				d.DefaultEpsilon = max(d.DefaultEpsilon, minEpsilon)
			}
			held, _ := r.Study(args[0])
			d.Sealed = d.Sealed || sealed || held.Holds != nil && held.Holds.Sealed // it is never taken away
			if until != "" {
				if d.Expires, err = time.Parse(time.DateOnly, until); err != nil {
					return usageError{errors.New("--until must be a date such as 2027-12-31")}
				}
			}
			if err := d.Narrows(offer.Document); err != nil {
				return err
			}
			if proposal != "" {
				if _, err := study.Post(study.Inbox(s.file), offer); err != nil {
					return err
				}
			}
			record := &study.Record{
				Act: study.Approve, Study: args[0], Federation: offer.Federation, Hospital: place.Hospital, Number: number,
				Document: &d, Proposal: offer.Document.Digest(), By: s.by, Time: time.Now(), Reason: s.reason,
			}
			if err := record.Sign(key); err != nil {
				return err
			}
			return deliver(c, s.file, record)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&proposal, "proposal", "", "a signed proposal that the node has not heard of, from study propose --out")
	c.Flags().StringVar(&document, "document", "", "a narrower document to approve")
	c.Flags().Float64Var(&epsilon, "epsilon", 0, "narrow the whole budget to this epsilon")
	c.Flags().Float64Var(&maxEpsilon, "max-epsilon", 0, "narrow the cap of one query to this epsilon")
	c.Flags().Float64Var(&minEpsilon, "min-epsilon", 0, "raise the least price of a release to this epsilon")
	c.Flags().StringVar(&until, "until", "", "narrow the expiry to this date")
	c.Flags().BoolVar(&sealed, "sealed", false, "let numbers leave only with your hospital's own noise on each")
	return c
}

// offered gives the proposal to answer, and the number of the next act.
func offered(r *study.Registry, id, file string) (*study.Record, int, error) {
	s, known := r.Study(id)
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, err
		}
		offer, err := study.Decode(b)
		if err != nil {
			return nil, 0, err
		}
		return offer, s.Acts + 1, nil
	}
	if !known || s.Offer() == nil {
		return nil, 0, fmt.Errorf("no study %q is proposed here; see: intramuros study list", id)
	}
	return s.Offer(), s.Acts + 1, nil
}

func newStudyCloseCommand(act study.Act, short, how string) *cobra.Command {
	var s signing
	c := &cobra.Command{
		Use:     string(act) + " STUDY --file LEDGER --key KEY",
		Short:   short,
		Long:    "Closes a study where the ledger's daemon decides, " + how + ".",
		Example: fmt.Sprintf(`  intramuros study %s diabetes-2027 --file node.ledger --key claire.key --reason "asked by the ethics committee"`, act),
		Args:    arguments(cobra.ExactArgs(1)),
		PreRunE: require("file", "key"),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := s.signer()
			if err != nil {
				return err
			}
			r, place, err := registry(c.Context(), s.file)
			if err != nil {
				return err
			}
			offer, number, err := offered(r, args[0], "")
			if err != nil {
				return err
			}
			record := &study.Record{
				Act: act, Study: args[0], Federation: offer.Federation, Hospital: place.Hospital, Number: number, By: s.by, Time: time.Now(), Reason: s.reason,
			}
			if err := record.Sign(key); err != nil {
				return err
			}
			return deliver(c, s.file, record)
		},
	}
	s.flags(c)
	return c
}
