package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/study"
)

func newStudyCommand() *cobra.Command {
	c := newGroup("study", "Propose, approve, narrow, suspend, resume and end studies", `
A study is an approved project: who may ask, for what, over which tables and columns, and
how much privacy it may cost. The operator proposes it to the coordinator, which passes it
on to the nodes. At each hospital the custodian decides; without approval there, no query
of the study reaches that hospital's data.

Each act is signed with the Ed25519 key of the person (intramuros pki key) and kept in the
ledger of the daemon. The daemon takes it within a second while it runs, or else when it
starts; --file is its ledger. Where node.yaml has signatures_required, what opens a study is
signed by so many custodians: the others say study cosign.`)
	c.AddCommand(newStudyProposeCommand(), newStudyListCommand(), newStudyShowCommand(), newStudyApproveCommand(), newStudyCosignCommand(), newStudyNarrowCommand(),
		newStudyCloseCommand(study.Suspend, "Refuse a study's queries for now", "until it is resumed"), newStudyResumeCommand(),
		newStudyCloseCommand(study.End, "Refuse a study's queries for ever", "for good; its record stays"))
	return c
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
				d := s.Approved
				if d == nil {
					d = s.Proposal
				}
				status := string(s.Status)
				if s.Failed {
					status += fmt.Sprintf(" after %d failed queries", s.Failures)
				}
				if p := s.Pending; p != nil {
					status += fmt.Sprintf(" (%d more must sign)", p.Missing)
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
	var file, document string
	c := &cobra.Command{
		Use:   "show STUDY --file LEDGER",
		Short: "Show a study in plain words, or its document",
		Long: `Shows how a study stands, what holds and what is proposed, in plain words. --document writes
the latest proposal as YAML instead, and --document=held what holds here: a file to make
narrower, and to sign with study approve --document or study narrow --document.`,
		Args: arguments(cobra.ExactArgs(1)), PreRunE: require("file"),
		Example: `  intramuros study show diabetes-2027 --file node.ledger
  intramuros study show diabetes-2027 --file node.ledger --document > narrower.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			r, _, err := registry(c.Context(), file)
			if err != nil {
				return err
			}
			s, ok := r.Study(args[0])
			if !ok {
				return fmt.Errorf("this ledger knows no study %q; see: intramuros study list", args[0])
			}
			switch document {
			case "":
				writeStudy(c.OutOrStdout(), &s)
				return nil
			case documentProposed:
				return writeYAML(c.OutOrStdout(), s.Proposal)
			case documentHeld:
				return writeYAML(c.OutOrStdout(), s.Approved)
			}
			return usageError{fmt.Errorf("--document=%s: give %s or %s", document, documentProposed, documentHeld)}
		},
	}
	c.Flags().StringVar(&file, "file", "", "the daemon's ledger")
	c.Flags().StringVar(&document, "document", "", "write the document that is `proposed`, or =held, as YAML")
	c.Flags().Lookup("document").NoOptDefVal = documentProposed
	return c
}

// The documents that study show --document prints.
const (
	documentProposed = "proposed"
	documentHeld     = "held"
)

// writeYAML writes a document in the form of docs/study.yaml.
func writeYAML(w io.Writer, d *study.Document) error {
	if d == nil {
		return errors.New("there is no such document here: nothing is proposed, or nothing was approved")
	}
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	return errors.Join(out.Encode(d), out.Close())
}

// writeStudy writes the state of a study.
func writeStudy(w io.Writer, s *study.Study) {
	fmt.Fprintf(w, "study        %s, %s\n", s.ID, s.Status)
	fmt.Fprintf(w, "last act     %s\n", s.Last.Sentence())
	if p := s.Pending; p != nil {
		fmt.Fprintf(w, "signatures   %s signed to %s it, and %d more must: intramuros study cosign %s\n", strings.Join(p.By, ", "), p.Act, p.Missing, s.ID)
	}
	if s.Failures > 0 {
		fmt.Fprintf(w, "failures     %d queries failed after they were charged since it was last opened", s.Failures)
		if s.Failed {
			fmt.Fprintf(w, ": it is suspended here. Why they failed: intramuros ledger show --kind failure. To open it as it held: intramuros study resume %s", s.ID)
		}
		fmt.Fprintln(w)
	}
	if s.Approved != nil {
		what := "What holds here:"
		if s.Status == study.Suspended {
			what = "What held here, and what study resume opens again:"
		}
		fmt.Fprintf(w, "\n%s\n", what)
		writeDocument(w, s.Approved)
	}
	if p := s.Pending; p != nil && p.Act == study.Approve && p.Document.Digest() != s.Proposal.Digest() {
		fmt.Fprintf(w, "\nWhat %s signed:\n", strings.Join(p.By, ", "))
		writeDocument(w, p.Document)
	}
	if s.Proposal != nil && (s.Approved == nil || s.Proposal.Digest() != s.Approved.Digest()) {
		fmt.Fprintf(w, "\nWhat is proposed:\n")
		writeDocument(w, s.Proposal)
	}
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
