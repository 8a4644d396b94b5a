package pki

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Notice is how long before its end a certificate's expiry is reported.
const Notice = 30 * 24 * time.Hour

// ErrExpired is wrapped by refusals of an expired certificate.
var ErrExpired = errors.New("its certificate has expired")

// Term says when a certificate ends.
type Term struct {
	What string    `json:"what"` // the certificate's purpose, in one word
	File string    `json:"-"`
	Ends time.Time `json:"ends"`
}

// Soon reports whether the certificate ends within Notice, or has ended.
func (t Term) Soon(now time.Time) bool { return t.Ends.Before(now.Add(Notice)) }

// Over reports whether the certificate has ended.
func (t Term) Over(now time.Time) bool { return !now.Before(t.Ends) }

// ReadTerm reads the term of the certificate in a PEM file. The file may have several, such as an authority and its
// successor. ReadTerm uses the first, which is a daemon's own; with latest, it uses the one that ends last.
func ReadTerm(what, file string, latest bool) (Term, error) {
	t := Term{What: what, File: file}
	rest, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return t, fmt.Errorf("%s: %w", file, err)
		}
		if cert.NotAfter.After(t.Ends) {
			t.Ends = cert.NotAfter
		}
		if !latest {
			break
		}
	}
	if t.Ends.IsZero() {
		return t, fmt.Errorf("%s holds no certificate", file)
	}
	return t, nil
}

// watchEvery is the interval at which WatchTerms checks.
const watchEvery = 10 * time.Second

// WatchTerms logs each certificate that ends within Notice once a day, and an expired one at once, until ctx ends.
// terms reads the certificates.
func WatchTerms(ctx context.Context, terms func() []Term, log *slog.Logger) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := map[string]string{}
	for {
		now := time.Now()
		for _, t := range terms() {
			left := fmt.Sprintf("%d days", int(t.Ends.Sub(now).Hours()/24))
			switch {
			case t.Over(now):
				left = "none"
				if told[t.File] != left {
					log.Error("a certificate has expired, and nothing is answered with it; issue a new one, which is taken without a restart",
						slog.String("certificate", t.What), slog.String("file", t.File), slog.Time("ended", t.Ends))
				}
			case t.Soon(now):
				if told[t.File] != left {
					log.Warn("a certificate ends soon; issue a new one, which is taken without a restart",
						slog.String("certificate", t.What), slog.String("file", t.File), slog.Time("ends", t.Ends), slog.String("left", left))
				}
			}
			told[t.File] = left
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
