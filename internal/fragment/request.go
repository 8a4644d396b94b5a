package fragment

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/intramuros/intramuros/dp"
)

// Request is what a coordinator asks of a node, for one fragment: to say what it
// would run (explain), or to reserve its loss (prepare).
type Request struct {
	Query      string `json:"query"`      // the coordinator's id for the query, 32 hex digits
	Study      string `json:"study"`      // the study whose budget pays
	Researcher string `json:"researcher"` // who asks
	// Token is signed by who vouches for the researcher, and tells so: a JSON Web Token. It is a
	// secret: it stands in no log and no ledger.
	Token    string   `json:"token,omitempty"`
	Fragment Fragment `json:"fragment"`
	Noise    dp.Noise `json:"noise"` // the noise that will cover every partial aggregate
	// ThresholdDelta is spent on selecting undeclared groups, in [0, 1); 0 where
	// all keys are declared.
	ThresholdDelta float64 `json:"threshold_delta"`
	// Releases is of how many releases, each with a request and an id of its own, the researcher's query is
	// made, 1 to MaxReleases; each may cost that part of what the query may. 0 means 1.
	Releases int `json:"releases,omitempty"`
	// Cover, if not nil: each hospital adds its share of the noise before its numbers leave, and Noise says what the
	// whole costs. Nil: the coordinator adds it.
	Cover *Cover `json:"cover,omitempty"`
}

// MaxReleases is the largest Request.Releases.
const MaxReleases = 64

// Prepared is a node's answer to prepare.
type Prepared struct {
	Reservation string  `json:"reservation"` // the ticket with which to execute, once
	DataVersion string  `json:"data_version"`
	Loss        dp.Loss `json:"loss"` // as the node priced it
	// Caveats say what of the tables that the fragment reads the hospital has less of than the catalog has.
	Caveats []Caveat `json:"caveats,omitempty"`
}

// Caveat is what a hospital says of how it reads a table that a fragment reads. It is public: it is told from the
// columns that the table has and from what node.yaml declares, never from a row, and is the same for every question
// over them.
type Caveat struct {
	Kind   CaveatKind `json:"kind"`
	Table  string     `json:"table"`            // of the catalog
	Column string     `json:"column,omitempty"` // of CaveatAbsent
	// Share is how much node.yaml accepts to lose, in (0, 1]; it does not say how much is lost. 0 for CaveatAbsent.
	Share float64 `json:"share,omitempty"`
}

// CaveatKind is a kind of Caveat.
type CaveatKind string

// The kinds of caveats.
const (
	CaveatAbsent   CaveatKind = "absent"   // the column does not exist there and reads as NULL
	CaveatRejected CaveatKind = "rejected" // that share of the lines of the table's files may be left out, since they do not fit
	CaveatUnusable CaveatKind = "unusable" // that share of the values of any column may be unreadable, out of bounds or NULL
)

// Explained is a node's answer to explain, which spends nothing.
type Explained struct {
	Engine      string `json:"engine"`
	DataVersion string `json:"data_version"`
	SQL         string `json:"sql"` // what the engine would run
	// Caveats are as in Prepared.
	Caveats []Caveat `json:"caveats,omitempty"`
	// Key is the fingerprint of the node's own key, which the other hospitals pin (pki.Fingerprint), where the request
	// is for masked numbers; else empty, and of nodes of earlier releases.
	Key string `json:"key,omitempty"`
}

// Price is what the request costs: the noise of one vector release and the
// selection of groups. Coordinator and node each compute it for themselves.
func (r *Request) Price() (dp.Loss, error) { return r.Noise.Loss(r.ThresholdDelta) }

// Digest is the SHA-256 of all that a node computes by, the researcher's token aside.
func (r *Request) Digest() [sha256.Size]byte {
	shown := *r
	shown.Token, shown.Fragment.Version = "", 0 // the version in which it was written is no part of it
	b, err := json.Marshal(&shown)
	if err != nil {
		panic(err) // what was decoded encodes
	}
	return sha256.Sum256(b)
}

// Within reports whether the request costs no more than its part of the most that a query may cost, as the study's
// accounting charges it.
func (r *Request) Within(loss, most dp.Loss, a dp.Accounting) bool {
	return !a.Cheaper(most.Part(max(1, r.Releases)), loss)
}

// Suffices reports whether the request costs at least the least price of a release, under the accounting of the study
// that pays. Each request does by itself, whatever Releases says: a query of many releases has as many outcomes.
func (r *Request) Suffices(loss, least dp.Loss, accounting dp.Accounting) bool {
	return !accounting.Cheaper(loss, least)
}

// Verify checks that the noise covers the norm to which the fragment clips a patient.
func (r *Request) Verify(p *Proof) error {
	if err := r.Noise.Validate(); err != nil {
		return err
	}
	if r.Releases < 0 || r.Releases > MaxReleases {
		return fmt.Errorf("%w: a query of %d releases", ErrInvalid, r.Releases)
	}
	if need := map[Norm]dp.Mechanism{L1: dp.Laplace, L2: dp.Gaussian}[r.Fragment.Norm]; r.Noise.Mechanism != need {
		return fmt.Errorf("%w: a patient is clipped to %s, which needs %s noise, not %s", ErrInvalid, r.Fragment.Norm, need, r.Noise.Mechanism)
	}
	if need := p.NormLimit(&r.Fragment); r.Noise.Limit != need {
		return fmt.Errorf("%w: its noise is for a weight of %d a patient, and a patient is clipped to %d", ErrInvalid, r.Noise.Limit, need)
	}
	if (p.Cells == 0) != (r.ThresholdDelta > 0) {
		return fmt.Errorf("%w: undeclared groups, and they alone, need a threshold", ErrInvalid)
	}
	return nil
}

// DecodeRequest reads a request strictly: unknown fields, trailing bytes and
// oversized input are refused, and versions that this release does not read. It checks form, not meaning: see Check.
func DecodeRequest(b []byte) (*Request, error) {
	if len(b) > MaxWireBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrInvalid, len(b), MaxWireBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r Request
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if d.More() {
		return nil, fmt.Errorf("%w: bytes after its end", ErrInvalid)
	}
	return &r, r.versioned()
}
