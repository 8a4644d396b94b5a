package study

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Act is what a record does.
type Act string

// The acts.
const (
	Propose Act = "propose" // the operator: this is the study, or its next version
	Approve Act = "approve" // the custodian: this is in effect here from now on
	Suspend Act = "suspend" // no query for now
	Resume  Act = "resume"  // the terms before the suspension are in effect again
	Narrow  Act = "narrow"  // less is allowed from now on; it opens nothing
	End     Act = "end"     // no query ever again
)

// Record is one act, signed by the person who did it.
type Record struct {
	Act        Act    `json:"act"`
	Study      string `json:"study"`
	Federation string `json:"federation"`
	// Hospital is the hospital where it takes effect. It is empty for a proposal, and for the operator's acts at the
	// coordinator.
	Hospital string `json:"hospital,omitempty"`
	// Number counts the acts at its place, from 1 up. It is 0 for a proposal, whose Document has a version.
	Number int `json:"number,omitempty"`
	// Document is what is proposed, or what is in effect here from now on.
	Document *Document `json:"document,omitempty"`
	Proposal string    `json:"proposal,omitempty"` // of an approval: digest of the proposal that it answers
	By       string    `json:"by"`                 // the signer, by the name of the key in the daemon's configuration
	Time     time.Time `json:"time"`
	Reason   string    `json:"reason,omitempty"`
	// Signature is Ed25519, over the prefix and the record's JSON without the signature.
	Signature []byte `json:"signature"`
}

// ErrRecord is wrapped by every refusal of a record.
var ErrRecord = errors.New("the record is refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRecord, fmt.Errorf(format, args...))
}

// prefix ensures that a signature of a study is not valid for something else.
const prefix = "intramuros/study/1\n"

// maxRecord bounds a record's encoding, in bytes.
const maxRecord = 1 << 20

// Keys are the public keys of people, by the names used in records.
type Keys map[string]ed25519.PublicKey

// message is the signed text.
func (r *Record) message() ([]byte, error) {
	bare := *r
	bare.Signature = nil
	if bare.Document != nil {
		bare.Document = bare.Document.normal()
	}
	bare.Time = bare.Time.UTC().Truncate(time.Second)
	b, err := json.Marshal(&bare)
	return append([]byte(prefix), b...), err
}

// Message brings the record into its canonical form and returns the bytes to sign, for a signer whose key is elsewhere.
// Errors wrap ErrRecord.
func (r *Record) Message() ([]byte, error) {
	if r.Document != nil {
		r.Document = r.Document.normal()
	}
	r.Time = r.Time.UTC().Truncate(time.Second)
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r.message()
}

// Sign fills in the signature. The record is then complete, and must not change.
func (r *Record) Sign(key ed25519.PrivateKey) error {
	m, err := r.Message()
	if err != nil {
		return err
	}
	r.Signature = ed25519.Sign(key, m)
	return nil
}

// validate checks the form.
func (r *Record) validate() error {
	switch r.Act {
	case Propose:
		if r.Hospital != "" || r.Number != 0 || r.Document == nil || r.Proposal != "" {
			return refuse("a proposal has a document, and neither hospital nor number")
		}
	case Approve:
		if r.Number < 1 || r.Document == nil || r.Proposal == "" {
			return refuse("an approval has a number, a document and the proposal that it answers")
		}
	case Resume, Narrow:
		if r.Number < 1 || r.Document == nil || r.Proposal != "" {
			return refuse("to %s takes a number and the document that holds from then on", r.Act)
		}
	case Suspend, End:
		if r.Number < 1 || r.Document != nil || r.Proposal != "" {
			return refuse("to %s takes a number and no document", r.Act)
		}
	default:
		return refuse("there is no act %q", r.Act)
	}
	if !ValidID(r.Study) || r.By == "" || r.Federation == "" || r.Time.IsZero() || len(r.Reason) > maxText || strings.ContainsRune(r.Reason, 0) {
		return refuse("it lacks study, federation, signer or time, or its reason is too long")
	}
	if r.Document != nil {
		if err := r.Document.Validate(); err != nil {
			return refuse("%w", err)
		}
		if r.Document.ID != r.Study {
			return refuse("the document is of study %s, the record of %s", r.Document.ID, r.Study)
		}
	}
	return nil
}

// verify checks form and signature.
func (r *Record) verify(keys Keys) error {
	if err := r.validate(); err != nil {
		return err
	}
	key, ok := keys[r.By]
	if !ok {
		return refuse("no key of %q is configured here to %s studies", r.By, r.Act)
	}
	m, err := r.message()
	if err != nil {
		return refuse("%w", err)
	}
	return VerifySignature(key, m, r.Signature, r.By)
}

// VerifySignature refuses a signature of a message that was not made with the key of the named person. Its error wraps
// ErrRecord.
func VerifySignature(key ed25519.PublicKey, message, signature []byte, by string) error {
	if !ed25519.Verify(key, message, signature) {
		return refuse("the signature is not that of %s", by)
	}
	return nil
}

// Decode reads a record strictly.
func Decode(b []byte) (*Record, error) {
	if len(b) > maxRecord {
		return nil, refuse("more than %d bytes", maxRecord)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r Record
	if err := d.Decode(&r); err != nil {
		return nil, refuse("it is not a record of a study: %w", err)
	}
	if d.More() {
		return nil, refuse("bytes after its end")
	}
	return &r, r.validate()
}

// Encode is the inverse of Decode.
func (r *Record) Encode() ([]byte, error) { return json.Marshal(r) }

// id names a record by its SHA-256.
func (r *Record) id() string {
	b, err := r.Encode()
	if err != nil {
		panic(err) // texts and finite numbers always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Sentence says in plain words what the record does.
func (r *Record) Sentence() string {
	var s string
	switch where := r.place(); r.Act {
	case Propose:
		s = fmt.Sprintf("%s proposed version %d of the study %s, %q (%s): %s", r.By, r.Document.Version, r.Study, r.Document.Title, r.Document.LegalBasis, r.Document.terms())
	case Approve:
		s = fmt.Sprintf("%s approved version %d of the study %s %s: %s", r.By, r.Document.Version, r.Study, where, r.Document.terms())
	case Resume:
		s = fmt.Sprintf("%s resumed version %d of the study %s %s, as it held before: %s", r.By, r.Document.Version, r.Study, where, r.Document.terms())
	case Narrow:
		s = fmt.Sprintf("%s narrowed version %d of the study %s %s to: %s", r.By, r.Document.Version, r.Study, where, r.Document.terms())
	case Suspend:
		s = fmt.Sprintf("%s suspended the study %s %s", r.By, r.Study, where)
	default:
		s = fmt.Sprintf("%s ended the study %s %s", r.By, r.Study, where)
	}
	if r.Reason != "" {
		s += "; reason: " + r.Reason
	}
	return s + "."
}

func (r *Record) place() string {
	if r.Hospital == "" {
		return "at the coordinator"
	}
	return "at " + r.Hospital
}

// terms are the limits in words.
func (d *Document) terms() string {
	s := fmt.Sprintf("epsilon %g and delta %g in all (%s), %g for one query and at least %g for a release, until %s, for %s",
		d.Budget.Epsilon, d.Budget.Delta, d.Budget.Accounting, d.MaxEpsilon, d.LeastEpsilon(), d.Expires.UTC().Format(time.DateOnly), strings.Join(d.Investigators, ", "))
	if d.Sealed {
		s += ", sealed"
		if len(d.Hospitals) > 0 { // their number determines how much noise each one adds
			s += " among " + strings.Join(d.Hospitals, ", ")
		}
	}
	return s
}
