package membership

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	quiet       = time.Minute // at most one warning of a kind in this time
	maxKinds    = 256         // kinds remembered; then the memory is cleared
	longestLine = 300         // bytes
)

// logWriter passes the log lines of memberlist to slog. Routine messages become debug messages. A repeated warning,
// with other numbers or another peer's port, is a warning once a minute and a debug message in between.
type logWriter struct {
	logger *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time
}

func (w *logWriter) Write(line []byte) (int, error) {
	level, text := slog.LevelWarn, strings.TrimSpace(string(line))
	if rest, ok := strings.CutPrefix(text, "["); ok {
		tag, after, _ := strings.Cut(rest, "] ")
		if tag == "DEBUG" || tag == "INFO" {
			level = slog.LevelDebug
		}
		text = after
	}
	text = strings.TrimPrefix(text, "memberlist: ")
	if len(text) > longestLine {
		text = strings.ToValidUTF8(text[:longestLine], "") + "…"
	}
	// The roster reports conflicts, with advice. And refuting rumours of our own death is normal under load.
	if strings.HasPrefix(text, "Conflicting address") || strings.HasPrefix(text, "Refuting") {
		level = slog.LevelDebug
	}
	if level == slog.LevelWarn && !w.first(text) {
		level = slog.LevelDebug
	}
	w.logger.Log(context.Background(), level, "gossip: "+text)
	return len(line), nil
}

// first reports whether no text of this kind was seen lately.
func (w *logWriter) first(text string) bool {
	kind := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if at, ok := w.last[kind]; ok && now.Sub(at) < quiet {
		return false
	}
	if w.last == nil || len(w.last) >= maxKinds {
		w.last = map[string]time.Time{}
	}
	w.last[kind] = now
	return true
}
