package fragment

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/intramuros/intramuros/dp"
)

// Request is what a coordinator asks of a node for one fragment: to say what it would run (explain), or to reserve the
// loss (prepare).
type Request struct {
	Query      string `json:"query"`      // the coordinator's id for the query, 32 hex digits
	Study      string `json:"study"`      // the study whose budget pays
	Researcher string `json:"researcher"` // the person who asks
	// Token is a JSON Web Token, signed by the issuer that vouches for the researcher. It is a secret and is written to
	// no log and no ledger.
	Token    string   `json:"token,omitempty"`
	Fragment Fragment `json:"fragment"`
	Noise    dp.Noise `json:"noise"` // the noise that will cover every partial aggregate
	// ThresholdDelta is spent on selecting undeclared groups, in [0, 1); 0 if all keys are declared.
	ThresholdDelta float64 `json:"threshold_delta"`
	// Releases is the number of releases of the researcher's query, 1 to MaxReleases. Each release has its own request
	// and its own id, and may cost its equal part of what the query may cost. 0 means 1.
	Releases int `json:"releases,omitempty"`
	// Cover, if not nil, means that each hospital adds its share of the noise before its numbers leave, and Noise gives
	// the price of the whole. Nil: the coordinator adds the noise.
	Cover *Cover `json:"cover,omitempty"`
}

// MaxReleases is the largest Request.Releases.
const MaxReleases = 64

// Prepared is a node's answer to prepare.
type Prepared struct {
	Reservation string  `json:"reservation"` // the ticket for executing once
	DataVersion string  `json:"data_version"`
	Loss        dp.Loss `json:"loss"` // the price that the node computed
	// Caveats say what the hospital lacks of the tables that the fragment reads.
	Caveats []Caveat `json:"caveats,omitempty"`
}

// Caveat says how a hospital's copy of a table differs from the catalog. It is public: it follows from the columns of
// the table and from the declarations in node.yaml, never from a row, and is the same for every question over them.
type Caveat struct {
	Kind   CaveatKind `json:"kind"`
	Table  string     `json:"table"`            // of the catalog
	Column string     `json:"column,omitempty"` // of CaveatAbsent
	// Share is the loss that node.yaml accepts, in (0, 1]; it does not say how much is lost. 0 for CaveatAbsent.
	Share float64 `json:"share,omitempty"`
}

// CaveatKind is a kind of Caveat.
type CaveatKind string

// The kinds of caveats.
const (
	CaveatAbsent   CaveatKind = "absent"   // the column does not exist there and reads as NULL
	CaveatRejected CaveatKind = "rejected" // up to that share of the lines of the table's files may be left out, because they do not fit
	CaveatUnusable CaveatKind = "unusable" // up to that share of the values of any column may be unreadable, out of bounds or NULL
)

// Explained is a node's answer to explain, which spends nothing.
type Explained struct {
	Engine      string `json:"engine"`
	DataVersion string `json:"data_version"`
	SQL         string `json:"sql"` // what the engine would run
	// Caveats are as in Prepared.
	Caveats []Caveat `json:"caveats,omitempty"`
	// Key is the fingerprint of the node's own key, which the other hospitals pin (pki.Fingerprint), if the request is
	// for masked numbers. It is empty otherwise, and from nodes of earlier releases.
	Key string `json:"key,omitempty"`
}

// Price is what the request costs: the noise of one vector release and the selection of groups. Coordinator and node
// each compute it.
func (r *Request) Price() (dp.Loss, error) { return r.Noise.Loss(r.ThresholdDelta) }

// Digest is the SHA-256 of everything that a node computes with, without the researcher's token.
func (r *Request) Digest() [sha256.Size]byte {
	shown := *r
	shown.Token, shown.Fragment.Version = "", 0 // the version in which it was written does not count
	b, err := json.Marshal(&shown)
	if err != nil {
		panic(err) // every decoded request can be encoded
	}
	return sha256.Sum256(b)
}

// Within reports whether loss is no more than the request's part of most, the most that a query may cost, as the
// study's accounting charges it.
func (r *Request) Within(loss, most dp.Loss, a dp.Accounting) bool {
	return !a.Cheaper(most.Part(max(1, r.Releases)), loss)
}

// Suffices reports whether the request costs at least the least price of a release, under the accounting of the study
// that pays. Each request must, whatever Releases says: a query of many releases has as many outcomes.
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

// DecodeRequest reads a request strictly. It refuses unknown fields, trailing bytes, oversized input, and versions that
// this release does not read. It checks form, not meaning: see Check.
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
