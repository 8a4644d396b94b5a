package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/study"
)

// narrowing holds the terms that a custodian restricts.
type narrowing struct {
	study.Narrowing
	document, until string
}

func (n *narrowing) flags(c *cobra.Command) {
	c.Flags().StringVar(&n.document, "document", "", "a narrower document to sign, from study show --document")
	c.Flags().Float64Var(&n.Epsilon, "epsilon", 0, "narrow the whole budget to this epsilon")
	c.Flags().Float64Var(&n.MaxEpsilon, "max-epsilon", 0, "narrow the cap of one query to this epsilon")
	c.Flags().Float64Var(&n.MinEpsilon, "min-epsilon", 0, "raise the least price of a release to this epsilon")
	c.Flags().StringVar(&n.until, "until", "", "narrow the expiry to this date")
	c.Flags().BoolVar(&n.Sealed, "sealed", false, "let numbers leave only with your hospital's own noise on each")
}

// apply returns the document with the narrower terms. An error that wraps study.ErrWider means that they would be
// wider.
func (n *narrowing) apply(of *study.Document) (*study.Document, error) {
	d := *of
	if n.document != "" {
		d = study.Document{}
		if err := config.Load(n.document, &d); err != nil {
			return nil, err
		}
	}
	if n.until != "" {
		var err error
		if n.Expires, err = time.Parse(time.DateOnly, n.until); err != nil {
			return nil, usageError{errors.New("--until must be a date such as 2027-12-31")}
		}
	}
	d = n.Apply(d)
	return &d, d.Narrows(of)
}

func newStudyApproveCommand() *cobra.Command {
	var s signing
	var n narrowing
	c := newActCommand(&cobra.Command{
		Use:   "approve STUDY --file LEDGER --key KEY",
		Short: "Approve a study at your hospital, as proposed or narrower",
		Long: `Approves the latest proposal of a study at the hospital whose node's ledger is --file.
--epsilon, --max-epsilon, --min-epsilon, --sealed and --until narrow it; --document takes a whole
document, a YAML file (study show --document), that may be narrower in any part: fewer people, tables,
columns or aggregates. Nothing can be allowed that is not proposed.

A study that is suspended is opened as it held by study resume; an approval opens it as it is proposed.`,
		Example: `  intramuros study show diabetes-2027 --file node.ledger
  intramuros study approve diabetes-2027 --file node.ledger --key claire.key --epsilon 5`,
	}, &s, func(offer *study.Record, held *study.Study, r *study.Record) (err error) {
		n.Sealed = n.Sealed || held.Approved != nil && held.Approved.Sealed // sealing cannot be taken back
		r.Act, r.Proposal = study.Approve, offer.Document.Digest()
		if r.Document, err = n.apply(offer.Document); err != nil || s.proposal == "" {
			return err
		}
		_, err = study.Post(study.Inbox(s.file), offer)
		return err
	})
	n.flags(c)
	c.Flags().StringVar(&s.proposal, "proposal", "", "a signed proposal that the node has not heard of, from study propose --out")
	return c
}

// newActCommand returns a command that signs one act on a study that the daemon knows, or that s.proposal offers. fill
// adds what the act needs.
func newActCommand(c *cobra.Command, s *signing, fill func(offer *study.Record, stands *study.Study, r *study.Record) error) *cobra.Command {
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
		offer, number, err := offered(r, args[0], s.proposal)
		if err != nil {
			return err
		}
		stands, _ := r.Study(args[0])
		record := &study.Record{Study: args[0], Federation: offer.Federation, Hospital: place.Hospital, Number: number}
		if err := fill(offer, &stands, record); err != nil {
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
	}, &signing{}, func(_ *study.Record, s *study.Study, r *study.Record) error {
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
	}, &signing{}, func(_ *study.Record, s *study.Study, r *study.Record) (err error) {
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
	}, &signing{}, func(_ *study.Record, s *study.Study, r *study.Record) error {
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

// offered returns the proposal to answer, and the number of the next act.
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
	}, &signing{}, func(_ *study.Record, _ *study.Study, r *study.Record) error {
		r.Act = act
		return nil
	})
}
