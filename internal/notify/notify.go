package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kind is the subject of an event.
type Kind string

// The kinds.
const (
	Proposal    Kind = "proposal"    // a study waits for a decision, or for a signature
	Failure     Kind = "failure"     // queries failed after their charge, and count
	Suspension  Kind = "suspension"  // a study or the hospital is suspended
	Certificate Kind = "certificate" // a certificate ends soon, or has ended
	Budget      Kind = "budget"      // a budget is nearly spent
)

// Event is something that people should look at.
type Event struct {
	Key     string `json:"key"` // names it among all events of the daemon; it is sent once
	Kind    Kind   `json:"kind"`
	Study   string `json:"study,omitempty"`
	Subject string `json:"subject"` // one line
	Text    string `json:"text"`    // what happened, and what to do
}

// Intervals of checking a daemon and of trying a delivery.
const (
	lookEvery = 10 * time.Second
	firstWait = 10 * time.Second // after a failure; doubled after each further one
	mostWait  = 15 * time.Minute
	sendTime  = 30 * time.Second
	maxEvents = 50 // per message; the others come with the next message
)

// channel is a way to reach people.
type channel interface {
	name() string
	// send delivers a message, or returns an error. It ends with ctx.
	send(ctx context.Context, daemon string, events []Event) error
}

// Notifier delivers events.
type Notifier struct {
	daemon string
	file   string
	ways   []*delivery
	log    *slog.Logger
	every  time.Duration
	wait   time.Duration
}

// delivery is a channel with the events that it has delivered.
type delivery struct {
	channel
	told   map[string]bool
	failed int       // failed deliveries in a row
	next   time.Time // no delivery is tried before this time
}

// Open reads the secrets and the earlier deliveries. It returns nil if the configuration names nobody. daemon is the
// name in each message, and file records the deliveries.
func Open(c Config, daemon, file string, log *slog.Logger) (*Notifier, error) {
	if c.Mail == nil && c.Webhook == nil {
		return nil, nil
	}
	n := &Notifier{daemon: daemon, file: file, log: log, every: lookEvery, wait: firstWait}
	if c.Mail != nil {
		m, err := openMail(*c.Mail, c.Language)
		if err != nil {
			return nil, fmt.Errorf("`notify.mail`: %w", err)
		}
		n.ways = append(n.ways, &delivery{channel: m, told: map[string]bool{}})
	}
	if c.Webhook != nil {
		w, err := openWebhook(*c.Webhook)
		if err != nil {
			return nil, fmt.Errorf("`notify.webhook`: %w", err)
		}
		n.ways = append(n.ways, &delivery{channel: w, told: map[string]bool{}})
	}
	return n, n.load()
}

// load reads the file of deliveries, for each way.
func (n *Notifier) load() error {
	b, err := os.ReadFile(n.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var told map[string][]string
	if err := json.Unmarshal(bytes.TrimSpace(b), &told); err != nil {
		return fmt.Errorf("%s cannot be read; remove it, and all is told once more: %w", n.file, err)
	}
	for _, w := range n.ways {
		for _, key := range told[w.name()] {
			w.told[key] = true
		}
	}
	return nil
}

// keep writes the file of deliveries, completely or not at all.
func (n *Notifier) keep() error {
	told := map[string][]string{}
	for _, w := range n.ways {
		keys := make([]string, 0, len(w.told))
		for key := range w.told {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		told[w.name()] = keys
	}
	b, err := json.MarshalIndent(told, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(n.file), ".notified-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), n.file)
}

// Watch repeatedly asks look for the present events and delivers them, until ctx ends.
func (n *Notifier) Watch(ctx context.Context, look func(context.Context) ([]Event, error)) {
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	for {
		events, err := look(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Error("what is to be told cannot be read", slog.Any("error", err))
		}
		if err == nil {
			n.deliver(ctx, events)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// deliver sends each way the events that it has not delivered yet.
func (n *Notifier) deliver(ctx context.Context, events []Event) {
	changed := false
	for _, w := range n.ways {
		changed = w.forget(events) || changed
		if n.try(ctx, w, events) {
			changed = true
		}
	}
	if !changed {
		return
	}
	if err := n.keep(); err != nil {
		n.log.Error("what was told cannot be written down; after a restart it is told again", slog.Any("error", err))
	}
}

// forget drops the events that are no longer listed.
func (w *delivery) forget(events []Event) (changed bool) {
	for key := range w.told {
		if !slices.ContainsFunc(events, func(e Event) bool { return e.Key == key }) {
			delete(w.told, key)
			changed = true
		}
	}
	return changed
}

// try sends one message, if there are new events and it is time. It reports whether it was delivered.
func (n *Notifier) try(ctx context.Context, w *delivery, events []Event) bool {
	var fresh []Event
	for _, e := range events {
		if !w.told[e.Key] && len(fresh) < maxEvents {
			e.Subject = strings.Join(strings.Fields(e.Subject), " ")
			fresh = append(fresh, e)
		}
	}
	if len(fresh) == 0 || time.Now().Before(w.next) {
		return false
	}
	sending, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	if err := w.send(sending, n.daemon, fresh); err != nil {
		if ctx.Err() == nil {
			wait := jitter(min(n.wait<<min(w.failed, 10), mostWait))
			w.failed++
			w.next = time.Now().Add(wait)
			n.log.Warn("a message was not delivered, and is tried again", slog.String("by", w.name()), slog.Int("events", len(fresh)),
				slog.Duration("in", wait.Round(time.Second)), slog.Any("error", err))
		}
		return false
	}
	w.failed, w.next = 0, time.Time{}
	for _, e := range fresh {
		w.told[e.Key] = true
	}
	n.log.Info("told", slog.String("by", w.name()), slog.Int("events", len(fresh)), slog.String("first", fresh[0].Key))
	return true
}

// jitter is a wait of half of d to d, so that daemons that failed together do not return together.
func jitter(d time.Duration) time.Duration {
	half := max(int64(d/2), 1)
	n, err := rand.Int(rand.Reader, big.NewInt(half))
	if err != nil {
		return d
	}
	return time.Duration(half + n.Int64())
}
