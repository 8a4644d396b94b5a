package coordinator

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

const (
	readMail      = time.Second      // how often new records of studies are looked for
	exchangeEvery = 10 * time.Second // how often hospitals and coordinator exchange their states
	exchangeTime  = 5 * time.Second  // the time limit for one hospital
	lookTime      = 2 * time.Second  // the time limit for hospitals that are asked again before a study counts as closed
	// keepEvery is how often the checkpoint of an idle hospital is stored. After a query it is always stored.
	keepEvery = 10 * time.Minute
)

// custody holds what coordinator and hospitals know about each other's studies and ledgers.
type custody struct {
	key ed25519.PrivateKey // signs this ledger's checkpoints, and tokens of local accounts

	mu       sync.Mutex
	statuses map[string]map[string]study.Status // by hospital and study
	held     map[string]map[string]study.Terms  // what hospitals allow studies that are open there
	alarms   map[string]string                  // hospitals whose ledger has lost a part, and why
	broken   error                              // why nothing is answered until the coordinator is restarted
	exchange map[string]exchange                // with each hospital that is present
	programs map[string]string                  // program versions, as hospitals last told them
	// terms are the validity periods of this coordinator's certificates at the time termsRead.
	terms     []pki.Term
	termsRead time.Time
}

// exchange records when a hospital was last asked, and how often it has not answered since.
type exchange struct {
	asked time.Time
	vain  int
}

// due is when the hospital is asked again. The pause grows while it does not answer. Otherwise a hundred such hospitals
// would keep this coordinator busy with useless connections.
func (e exchange) due() time.Time {
	pause := exchangeEvery
	if e.vain > 0 {
		pause = min(pause, time.Second<<min(e.vain-1, 10))
	}
	return e.asked.Add(pause)
}

func newCustody(key ed25519.PrivateKey) *custody {
	return &custody{key: key, statuses: map[string]map[string]study.Status{}, held: map[string]map[string]study.Terms{}, alarms: map[string]string{}, exchange: map[string]exchange{}, programs: map[string]string{}}
}

// Run accepts records of studies and exchanges states with the hospitals until ctx ends.
func (c *Coordinator) Run(ctx context.Context) {
	var watch sync.WaitGroup
	watch.Go(func() { pki.WatchTerms(ctx, c.terms, c.log) })
	if c.notifier != nil {
		watch.Go(func() { c.notifier.Watch(ctx, c.notices) })
	}
	defer watch.Wait()
	tick := time.NewTicker(readMail)
	defer tick.Stop()
	for {
		if err := c.studies.Collect(ctx, study.Inbox(c.config.Ledger)); err != nil && ctx.Err() == nil {
			c.log.Error("records of studies cannot be taken", slog.Any("error", err))
		}
		c.exchangeDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// exchangeDue exchanges states with the hospitals that are due: new ones, and those last asked some time ago or before
// a new study.
func (c *Coordinator) exchangeDue(ctx context.Context) {
	present, _ := c.Federation().split()
	var due []*part
	there := map[string]bool{}
	c.custody.mu.Lock()
	for _, h := range present {
		there[h.Name+h.address] = true
		if !time.Now().Before(c.custody.exchange[h.Name+h.address].due()) {
			due = append(due, &part{hospital: h})
		}
	}
	for name := range c.custody.exchange {
		if !there[name] {
			delete(c.custody.exchange, name) // it is asked as soon as it returns
		}
	}
	c.custody.mu.Unlock()
	c.exchangeWithAll(ctx, due, exchangeTime)
}

// exchangeWithAll exchanges states with hospitals at once, for at most that long, and records who answered.
func (c *Coordinator) exchangeWithAll(ctx context.Context, parts []*part, most time.Duration) {
	each(parts, func(p *part) {
		within, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		err := c.exchangeWith(within, p.hospital)
		c.custody.mu.Lock()
		defer c.custody.mu.Unlock()
		e := exchange{asked: time.Now()}
		if err != nil {
			e.vain = c.custody.exchange[p.hospital.Name+p.hospital.address].vain + 1
			c.log.Debug("no exchange with a hospital", slog.String("hospital", p.hospital.Name), slog.Any("error", err))
		}
		c.custody.exchange[p.hospital.Name+p.hospital.address] = e
	})
}

// exchangeWith sends a hospital studies and checkpoints, and receives those of the hospital.
func (c *Coordinator) exchangeWith(ctx context.Context, h Hospital) error {
	own, err := c.ledger.Checkpoint(ctx, c.custody.key)
	if err != nil {
		return err
	}
	before := c.keptCheckpoint(ctx, h.Name)
	offer := study.Offer{Proposals: c.studies.Proposals(), Checkpoint: &own, Known: before}
	body, err := json.Marshal(offer)
	if err != nil {
		return err
	}
	answer, err := c.nodes.act(ctx, h, study.ActionExchange, body)
	if err != nil {
		return err
	}
	var state study.State
	if err := json.Unmarshal(answer, &state); err != nil {
		return invalidAnswer(err)
	}
	c.custody.mu.Lock()
	c.custody.statuses[h.Name], c.custody.held[h.Name], c.custody.programs[h.Name] = state.Studies, state.Terms, state.Program
	c.custody.mu.Unlock()
	if state.Known != nil {
		c.checkOwnLedger(ctx, *state.Known)
	}
	if state.Checkpoint == nil {
		return invalidAnswer(errors.New("no checkpoint"))
	}
	return c.keepCheckpoints(ctx, map[string]ledger.Checkpoint{h.Name: *state.Checkpoint}, map[string]*ledger.Checkpoint{h.Name: before}, keepEvery)
}

// keptCheckpoint is the latest checkpoint of a hospital's ledger that is stored here.
func (c *Coordinator) keptCheckpoint(ctx context.Context, hospital string) *ledger.Checkpoint {
	k, ok, err := c.ledger.Kept(ctx, nodeOwner(hospital))
	if err != nil || !ok {
		return nil
	}
	return &k
}

func nodeOwner(hospital string) string { return "node " + hospital }

// keepCheckpoints stores the checkpoints that newerCheckpoints returns.
func (c *Coordinator) keepCheckpoints(ctx context.Context, shown map[string]ledger.Checkpoint, known map[string]*ledger.Checkpoint, age time.Duration) error {
	fresh := c.newerCheckpoints(shown, known, age)
	if len(fresh) == 0 {
		return nil
	}
	return c.ledger.Keep(ctx, fresh...)
}

// newerCheckpoints compares hospitals' checkpoints with those that they showed before. It returns the ones to be
// stored: those whose stored checkpoint is older than age. A hospital's first checkpoint tells its key, since it came
// over a connection that the hospital's certificate authenticates. known are the checkpoints that were stored when the
// hospitals were asked. A slow answer may be older than what is stored by now; that is not a contradiction.
func (c *Coordinator) newerCheckpoints(shown map[string]ledger.Checkpoint, known map[string]*ledger.Checkpoint, age time.Duration) []ledger.Checkpoint {
	var fresh []ledger.Checkpoint
	for hospital, s := range shown {
		before := known[hospital]
		key := s.Key
		if before != nil {
			key = before.Key
		}
		alarm := ""
		switch err := s.Verify(key); {
		case s.Owner != nodeOwner(hospital):
			alarm = "shows somebody else's ledger"
		case err != nil:
			alarm = "does not sign its ledger's checkpoints with the key that it had"
		case before != nil && s.Head != before.Head && !s.Follows(*before):
			alarm = fmt.Sprintf("has lost a part of its ledger: it was at entry %d and is at entry %d", before.Sequence, s.Sequence)
		case before == nil || s.Head != before.Head && (age == 0 || c.now().Sub(before.Time) > age || s.Recovered != before.Recovered):
			fresh = append(fresh, s)
		}
		c.custody.mu.Lock()
		if was := c.custody.alarms[hospital]; alarm != was {
			if alarm != "" {
				c.log.Error("a hospital is not asked", slog.String("hospital", hospital), slog.String("because", "it "+alarm))
			}
			c.custody.alarms[hospital] = alarm
		}
		c.custody.mu.Unlock()
	}
	return fresh
}

// checkOwnLedger compares the ledger with the checkpoint of it that a hospital keeps.
func (c *Coordinator) checkOwnLedger(ctx context.Context, kept ledger.Checkpoint) {
	if kept.Verify(c.custody.key.Public().(ed25519.PublicKey)) != nil {
		return // a forgery must not stop this coordinator
	}
	err := c.ledger.Compare(ctx, kept)
	if !errors.Is(err, ledger.ErrBehind) && !errors.Is(err, ledger.ErrDiverged) {
		return
	}
	c.custody.mu.Lock()
	defer c.custody.mu.Unlock()
	if c.custody.broken != nil {
		return
	}
	c.custody.broken = err
	path := c.config.Ledger + ".ahead.json"
	b, encodeErr := json.Marshal(kept)
	if writeErr := errors.Join(encodeErr, os.WriteFile(path, append(b, '\n'), 0o600)); writeErr != nil {
		c.log.Error("the checkpoint cannot be kept for the operator", slog.Any("error", writeErr))
	}
	c.log.Error("nothing is answered: a part of the privacy ledger is missing", slog.Any("error", err),
		slog.String("see", "intramuros ledger acknowledge --checkpoint "+path))
}

// ledgerIntact refuses if a part of this ledger was found to be missing.
func (c *Coordinator) ledgerIntact() error {
	c.custody.mu.Lock()
	defer c.custody.mu.Unlock()
	if c.custody.broken == nil {
		return nil
	}
	return &Error{
		Code: CodeLedgerRestored, Message: "a part of the coordinator's privacy ledger is missing, and nothing is answered until its operator has looked at it",
		Hint: "tell the federation", cause: c.custody.broken,
	}
}

// terms returns the validity periods of the coordinator's certificates. It reads them at most once a second.
func (c *Coordinator) terms() []pki.Term {
	c.custody.mu.Lock()
	defer c.custody.mu.Unlock()
	if now := time.Now(); now.Sub(c.custody.termsRead) >= time.Second {
		c.custody.terms, c.custody.termsRead = c.config.terms(), now
	}
	return c.custody.terms
}

// certified refuses if a certificate of this coordinator or its authority has expired. No hospital would answer then,
// and the error says why.
func (c *Coordinator) certified() error {
	now := c.now()
	for _, t := range c.terms() {
		if t.Over(now) {
			return &Error{
				Code: CodeCertificateExpired, Message: fmt.Sprintf("the coordinator's certificate (%s) ended on %s, and nothing is answered until its operator has issued a new one",
					t.What, t.Ends.UTC().Format("2006-01-02 15:04 MST")),
				Hint: "tell the federation's operator: a new certificate is taken without a restart",
			}
		}
	}
	return nil
}

// lookAgain asks hospitals again if this coordinator believes that a study is not open there. A custodian may have
// opened it in the meantime. It takes at most lookTime. A hospital that did not answer last time is not asked, so that
// it does not delay each query: exchangeDue asks it.
func (c *Coordinator) lookAgain(ctx context.Context, id string) {
	present, _ := c.Federation().split()
	var closed []*part
	c.custody.mu.Lock()
	for _, h := range present {
		all, met := c.custody.statuses[h.Name]
		lastAnswered := c.custody.exchange[h.Name+h.address].vain == 0
		if met && lastAnswered && !slices.Contains([]study.Status{study.Approved, study.Amended, study.Ended}, all[id]) {
			closed = append(closed, &part{hospital: h})
		}
	}
	c.custody.mu.Unlock()
	c.exchangeWithAll(ctx, closed, lookTime)
}

// closed says why a hospital is not asked under a study, as far as the coordinator knows. The hospital itself decides.
func (c *Coordinator) closed(hospital, id string) *Absence {
	c.custody.mu.Lock()
	defer c.custody.mu.Unlock()
	if alarm := c.custody.alarms[hospital]; alarm != "" {
		return &Absence{Name: hospital, Code: absentLedger, Why: alarm}
	}
	all, met := c.custody.statuses[hospital]
	if !met {
		return nil
	}
	switch status := all[id]; status {
	case study.Approved, study.Amended:
		return nil
	case study.Suspended:
		return &Absence{Name: hospital, Code: absentStudy, Why: "has suspended this study; its custodian can resume it"}
	case study.Ended:
		return &Absence{Name: hospital, Code: absentStudy, Why: fmt.Sprintf("has %s this study", status)}
	default:
		return &Absence{Name: hospital, Code: absentStudy, Why: "has not approved this study"}
	}
}

// withCheckpoint adds a checkpoint to the metadata of a call.
func withCheckpoint(ctx context.Context, key string, c *ledger.Checkpoint) context.Context {
	if c == nil {
		return ctx
	}
	b, err := json.Marshal(c)
	if err != nil {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, key, string(b))
}

// trailing is the checkpoint in an answer's trailer, or nil if none can be read.
func trailing(md metadata.MD) *ledger.Checkpoint {
	values := md.Get(study.MetadataCheckpoint)
	if len(values) != 1 {
		return nil
	}
	c, err := ledger.ParseCheckpoint([]byte(values[0]))
	if err != nil {
		return nil
	}
	return &c
}
