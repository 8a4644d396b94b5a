package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// keepEvery is how often the checkpoint of an idle coordinator is stored. After a query it is always stored.
const keepEvery = 10 * time.Minute

// custody holds the checkpoints with which this node and the coordinator vouch for each other's ledgers.
type custody struct {
	key         ed25519.PrivateKey // signs this node's checkpoints
	coordinator ed25519.PublicKey
	owner       string // the name on the coordinator's ledger
	ahead       string // file of the checkpoint that shows what this ledger lacks
	log         *slog.Logger

	state *custodyState
}

type custodyState struct {
	mu     sync.Mutex
	seen   string // the signature of our last checkpoint that was found good
	broken error  // why the node answers nothing until it is restarted
}

func openCustody(c Config, log *slog.Logger) (custody, error) {
	out := custody{owner: "coordinator " + c.Federation, ahead: c.Ledger + ".ahead.json", log: log, state: &custodyState{}}
	var err error
	if out.key, err = pki.OpenSigningKey(c.Ledger); err != nil {
		return out, err
	}
	if out.coordinator, err = pki.LoadPublicKey(c.CoordinatorKey); err != nil {
		return out, fmt.Errorf("`coordinator_key`: %w", err)
	}
	return out, nil
}

func openIdentity(c Config) (*identity.Verifier, error) {
	issuers := c.Issuers
	if c.LocalAccounts {
		issuers = append([]identity.Issuer{{
			Issuer: identity.Accounts(c.Federation), Audience: c.Federation, Keys: c.CoordinatorKey, RolesClaim: "roles",
		}}, issuers...)
	}
	return identity.Open(issuers, time.Now)
}

// openPlace reads the keys of those who decide about studies here.
func openPlace(c Config) (study.Place, error) {
	place := study.Place{Federation: c.Federation, Hospital: c.Name, Required: c.SignaturesRequired, Former: c.Former}
	var err error
	if place.Operators, err = study.LoadKeys(c.Operators); err != nil {
		return place, fmt.Errorf("`operators`: %w", err)
	}
	if place.Custodians, err = study.LoadKeys(c.Custodians); err != nil {
		return place, fmt.Errorf("`custodians`: %w", err)
	}
	keys := map[string]bool{}
	for name, key := range place.Custodians {
		if !place.Left(name) {
			keys[string(key)] = true
		}
	}
	if n := c.SignaturesRequired; n > 1 && n > len(keys) {
		return place, fmt.Errorf("`signatures_required` is %d and `custodians` has %d different keys of people who have not left: no study could open", n, len(keys))
	}
	return place, nil
}

func openStudies(ctx context.Context, c Config, place study.Place, book *ledger.Ledger, log *slog.Logger) (*study.Registry, error) {
	studies, err := study.Load(ctx, book, place, log)
	if err != nil {
		return nil, err
	}
	return studies, studies.Collect(ctx, study.Inbox(c.Ledger))
}

// checkComplete refuses if a checkpoint that this node has signed shows that a part of its ledger is missing. known is
// the checkpoint that the coordinator keeps; nil: none.
func (c *custody) checkComplete(ctx context.Context, book *ledger.Ledger, known *ledger.Checkpoint) error {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	if c.state.broken != nil {
		return refuse(CodeRestored, c.state.broken)
	}
	if known == nil || string(known.Signature) == c.state.seen {
		return nil
	}
	if err := known.Verify(c.key.Public().(ed25519.PublicKey)); err != nil {
		c.log.Warn("somebody shows a checkpoint of this ledger that this node did not sign", slog.Any("error", err))
		return nil // a forgery must not stop this node
	}
	err := book.Compare(ctx, *known)
	if errors.Is(err, ledger.ErrBehind) || errors.Is(err, ledger.ErrDiverged) {
		c.state.broken = err
		b, encodeErr := json.Marshal(known)
		if writeErr := errors.Join(encodeErr, os.WriteFile(c.ahead, append(b, '\n'), 0o600)); writeErr != nil {
			c.log.Error("the checkpoint cannot be kept for the custodian", slog.Any("error", writeErr))
		}
		c.log.Error("nothing is answered: a part of the privacy ledger is missing", slog.Any("error", err),
			slog.String("see", "intramuros ledger acknowledge --checkpoint "+c.ahead))
		return refuse(CodeRestored, err)
	}
	if err != nil {
		return refuse(CodeLedger, err)
	}
	c.state.seen = string(known.Signature)
	return nil
}

// fromMetadata reads a checkpoint from a call's metadata, or returns nil if none can be read.
func fromMetadata(ctx context.Context, key string) *ledger.Checkpoint {
	values := metadata.ValueFromIncomingContext(ctx, key)
	if len(values) != 1 {
		return nil
	}
	c, err := ledger.ParseCheckpoint([]byte(values[0]))
	if err != nil {
		return nil
	}
	return &c
}

func known(ctx context.Context) *ledger.Checkpoint { return fromMetadata(ctx, study.MetadataKnown) }

// coordinators returns the checkpoint that came with a call, if the coordinator signed it.
func (c *custody) coordinators(ctx context.Context) []ledger.Checkpoint {
	theirs := fromMetadata(ctx, study.MetadataCheckpoint)
	if theirs == nil || theirs.Owner != c.owner || theirs.Verify(c.coordinator) != nil {
		return nil
	}
	return []ledger.Checkpoint{*theirs}
}

func checkpointTrailer(c ledger.Checkpoint) metadata.MD {
	b, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	return metadata.Pairs(study.MetadataCheckpoint, string(b))
}

// exchange accepts the coordinator's proposals and checkpoints, and returns the state here.
func (s *service) exchange(ctx context.Context, body []byte) (*study.State, error) {
	var offer study.Offer
	if err := json.Unmarshal(body, &offer); err != nil {
		return nil, refuse(CodeRequest, err)
	}
	for _, r := range offer.Proposals {
		if r == nil || r.Act != study.Propose {
			return nil, refuse(CodeRequest, errors.New("only proposals come this way"))
		}
		if err := s.studies.Take(ctx, r); errors.Is(err, study.ErrRecord) {
			s.log.Debug("a proposal is not taken", slog.Any("error", err))
		} else if err != nil {
			return nil, refuse(CodeLedger, err)
		}
	}
	kept, has, err := s.ledger.Kept(ctx, s.custody.owner)
	if err != nil {
		return nil, refuse(CodeLedger, err)
	}
	if c := offer.Checkpoint; c != nil && c.Owner == s.custody.owner && c.Verify(s.custody.coordinator) == nil {
		if has && !c.Follows(kept) && c.Head != kept.Head {
			s.log.Error("the coordinator's ledger has gone back: an old copy was restored", slog.Int64("was", kept.Sequence), slog.Int64("is", c.Sequence))
		} else if !has || s.now().Sub(kept.Time) > keepEvery || c.Recovered != kept.Recovered {
			if err := s.ledger.Keep(ctx, *c); err != nil {
				return nil, refuse(CodeLedger, err)
			}
		}
	}
	// The answer is sent in any case. If a part is missing, the next query is refused.
	_ = s.custody.checkComplete(ctx, s.ledger, offer.Known)
	own, err := s.ledger.Checkpoint(ctx, s.custody.key)
	if err != nil {
		return nil, refuse(CodeLedger, err)
	}
	state := &study.State{Studies: map[string]study.Status{}, Terms: map[string]study.Terms{}, Checkpoint: &own, Program: telemetry.Running().Version}
	if has {
		state.Known = &kept
	}
	for _, st := range s.studies.All() {
		status := st.Status
		if _, err := s.open(st.ID, s.now()); err != nil && (status == study.Approved || status == study.Amended) {
			status = study.Ended // past its last day, or it does not include this hospital
		}
		state.Studies[st.ID] = status
		if d := st.Approved; d != nil && (status == study.Approved || status == study.Amended) {
			state.Terms[st.ID] = study.Terms{
				Budget: d.Budget, Whole: s.budget, MaxEpsilon: d.MaxEpsilon, MinEpsilon: d.LeastEpsilon(), Expires: d.Expires,
				Tables: d.Tables, Aggregates: d.Aggregates, MaxRows: s.limits.MaxRows, MaxGroups: s.limits.MaxGroups,
			}
		}
	}
	return state, nil
}
