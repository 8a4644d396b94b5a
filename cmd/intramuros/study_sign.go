package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// signing says who signs, and for which daemon.
type signing struct {
	file, key, by, reason string
	proposal              string // a file; empty: the proposal that the daemon knows
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

// send signs a record and delivers it to the daemon.
func (s *signing) send(c *cobra.Command, key ed25519.PrivateKey, r *study.Record) error {
	r.By, r.Time, r.Reason = s.by, time.Now(), s.reason
	if err := r.Sign(key); err != nil {
		return err
	}
	return deliver(c, s.file, r)
}

// registry reads the studies of a ledger. The daemon checks the signatures.
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

// placeOf parses a ledger's owner: "node lyon", or "coordinator france".
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

// missing prints how many custodians still have to sign.
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
