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
	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
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
			fmt.Fprintln(c.OutOrStdout(), r.Sentence())
			return missing(c, file, r.Study)
		}
		select {
		case <-wait.Done():
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s\nThe daemon does not run, or is busy: it will take this when it starts. Until then it waits in %s\n", r.Sentence(), path)
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// missing says how many custodians have to sign yet.
func missing(c *cobra.Command, file, id string) error {
	r, _, err := registry(c.Context(), file)
	if err != nil {
		return err
	}
	if s, _ := r.Study(id); s.Pending != nil {
		fmt.Fprintf(c.OutOrStdout(), "It opens nothing yet: %d more of the custodians must sign the same, with: intramuros study cosign %s\n", s.Pending.Missing, id)
	}
	return nil
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

// The documents of study show --document.
const (
	documentProposed = "proposed"
	documentHeld     = "held"
)

// writeYAML writes a document as docs/study.yaml has it.
func writeYAML(w io.Writer, d *study.Document) error {
	if d == nil {
		return errors.New("there is no such document here: nothing is proposed, or nothing was approved")
	}
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	return errors.Join(out.Encode(d), out.Close())
}

// writeStudy says how a study stands.
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

// narrowing is what a custodian allows less than a document does.
type narrowing struct {
	document, until                 string
	epsilon, maxEpsilon, minEpsilon float64
	sealed                          bool
}

func (n *narrowing) flags(c *cobra.Command) {
	c.Flags().StringVar(&n.document, "document", "", "a narrower document to sign, from study show --document")
	c.Flags().Float64Var(&n.epsilon, "epsilon", 0, "narrow the whole budget to this epsilon")
	c.Flags().Float64Var(&n.maxEpsilon, "max-epsilon", 0, "narrow the cap of one query to this epsilon")
	c.Flags().Float64Var(&n.minEpsilon, "min-epsilon", 0, "raise the least price of a release to this epsilon")
	c.Flags().StringVar(&n.until, "until", "", "narrow the expiry to this date")
	c.Flags().BoolVar(&n.sealed, "sealed", false, "let numbers leave only with your hospital's own noise on each")
}

// apply is what is left of a document; an error that wraps study.ErrWider where that is more.
func (n *narrowing) apply(of *study.Document) (*study.Document, error) {
	d := *of
	if n.document != "" {
		d = study.Document{}
		if err := config.Load(n.document, &d); err != nil {
			return nil, err
		}
	}
	if n.epsilon > 0 {
		d.Budget.Epsilon = n.epsilon
	}
	if n.maxEpsilon > 0 {
		d.MaxEpsilon = n.maxEpsilon
		d.DefaultEpsilon = min(d.DefaultEpsilon, n.maxEpsilon)
	}
	if n.minEpsilon > 0 {
		d.MinEpsilon = n.minEpsilon
		d.DefaultEpsilon = max(d.DefaultEpsilon, n.minEpsilon)
	}
	d.Sealed = d.Sealed || n.sealed
	if n.until != "" {
		var err error
		if d.Expires, err = time.Parse(time.DateOnly, n.until); err != nil {
			return nil, usageError{errors.New("--until must be a date such as 2027-12-31")}
		}
	}
	return &d, d.Narrows(of)
}

func newStudyApproveCommand() *cobra.Command {
	var s signing
	var n narrowing
	var proposal string
	c := &cobra.Command{
		Use:   "approve STUDY --file LEDGER --key KEY",
		Short: "Approve a study at your hospital, as proposed or narrower",
		Long: `Approves the latest proposal of a study at the hospital whose node's ledger is --file.
--epsilon, --max-epsilon, --min-epsilon, --sealed and --until narrow it; --document takes a whole
document, a YAML file (study show --document), that may be narrower in any part: fewer people, tables,
columns or aggregates. Nothing can be allowed that is not proposed.

A study that is suspended is opened as it held by study resume; an approval opens it as it is proposed.`,
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
			held, _ := r.Study(args[0])
			n.sealed = n.sealed || held.Approved != nil && held.Approved.Sealed // it is never taken away
			d, err := n.apply(offer.Document)
			if err != nil {
				return err
			}
			if proposal != "" {
				if _, err := study.Post(study.Inbox(s.file), offer); err != nil {
					return err
				}
			}
			return s.send(c, key, &study.Record{
				Act: study.Approve, Study: args[0], Federation: offer.Federation, Hospital: place.Hospital, Number: number,
				Document: d, Proposal: offer.Document.Digest(),
			})
		},
	}
	s.flags(c)
	n.flags(c)
	c.Flags().StringVar(&proposal, "proposal", "", "a signed proposal that the node has not heard of, from study propose --out")
	return c
}

// send signs a record and gives it to the daemon.
func (s *signing) send(c *cobra.Command, key ed25519.PrivateKey, r *study.Record) error {
	r.By, r.Time, r.Reason = s.by, time.Now(), s.reason
	if err := r.Sign(key); err != nil {
		return err
	}
	return deliver(c, s.file, r)
}

// newActCommand is a command that signs one act on a study that the daemon knows. fill adds what the act needs.
func newActCommand(c *cobra.Command, s *signing, fill func(*study.Study, *study.Record) error) *cobra.Command {
	c.Args, c.PreRunE = arguments(cobra.ExactArgs(1)), require("file", "key")
	c.RunE = func(c *cobra.Command, args []string) error {
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
		stands, _ := r.Study(args[0])
		record := &study.Record{Study: args[0], Federation: offer.Federation, Hospital: place.Hospital, Number: number}
		if err := fill(&stands, record); err != nil {
			return err
		}
		return s.send(c, key, record)
	}
	s.flags(c)
	return c
}

func newStudyResumeCommand() *cobra.Command {
	return newActCommand(&cobra.Command{
		Use:   "resume STUDY --file LEDGER --key KEY",
		Short: "Open a suspended study again, as it held",
		Long: `Opens a suspended study again on the terms that held when it was suspended, as they were
narrowed, whoever or whatever suspended it: the custodian, or too many failed queries, which are
counted anew from then on. A newer version of the proposal goes on waiting for its approval.`,
		Example: `  intramuros study resume diabetes-2027 --file node.ledger --key claire.key --reason "the line was mended"`,
	}, &signing{}, func(s *study.Study, r *study.Record) error {
		if s.Approved == nil || s.Status != study.Suspended {
			return fmt.Errorf("the study %s is %s here; only what was approved and is suspended can be resumed", s.ID, s.Status)
		}
		r.Act, r.Document = study.Resume, s.Approved
		return nil
	})
}

func newStudyNarrowCommand() *cobra.Command {
	var n narrowing
	c := newActCommand(&cobra.Command{
		Use:   "narrow STUDY --file LEDGER --key KEY",
		Short: "Allow a study less than holds, from now on",
		Long: `Narrows what holds of a study, as study approve narrows a proposal: less budget, fewer people,
tables, columns or aggregates. It opens nothing, so one custodian's signature is enough, and a
suspended study stays suspended. To allow more again takes study approve.`,
		Example: `  intramuros study narrow diabetes-2027 --file node.ledger --key claire.key --max-epsilon 0.2
  intramuros study show diabetes-2027 --file node.ledger --document=held > narrower.yaml`,
	}, &signing{}, func(s *study.Study, r *study.Record) (err error) {
		if s.Approved == nil {
			return fmt.Errorf("nothing of the study %s holds here; approve it, as narrow as you like", s.ID)
		}
		r.Act = study.Narrow
		r.Document, err = n.apply(s.Approved)
		return err
	})
	n.flags(c)
	return c
}

func newStudyCosignCommand() *cobra.Command {
	return newActCommand(&cobra.Command{
		Use:   "cosign STUDY --file LEDGER --key KEY",
		Short: "Sign what another custodian has signed, so that it holds",
		Long: `Where node.yaml's signatures_required is 2 or more, an approval or a resumption opens nothing before
so many custodians have signed the same. This signs what the others have signed, which
study show tells. Whoever disagrees suspends the study, ends it, or approves other terms.`,
		Example: `  intramuros study show diabetes-2027 --file node.ledger
  intramuros study cosign diabetes-2027 --file node.ledger --key bert.key`,
	}, &signing{}, func(s *study.Study, r *study.Record) error {
		p := s.Pending
		if p == nil {
			return fmt.Errorf("nothing of the study %s waits for a signature; see: intramuros study show %s", s.ID, s.ID)
		}
		r.Act, r.Document = p.Act, p.Document
		if p.Act == study.Approve {
			r.Proposal = s.Proposal.Digest()
		}
		return nil
	})
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
	return newActCommand(&cobra.Command{
		Use:     string(act) + " STUDY --file LEDGER --key KEY",
		Short:   short,
		Long:    "Closes a study where the ledger's daemon decides, " + how + ".",
		Example: fmt.Sprintf(`  intramuros study %s diabetes-2027 --file node.ledger --key claire.key --reason "asked by the ethics committee"`, act),
	}, &signing{}, func(_ *study.Study, r *study.Record) error {
		r.Act = act
		return nil
	})
}
