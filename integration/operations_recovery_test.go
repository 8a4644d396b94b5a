package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answers waits until the n-th question, at epsilon 1, is answered by all; refusals before it cost nothing.
func (f *federation) answers(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		a, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(DISTINCT patient) FROM reading WHERE x > -%d", n), Epsilon: 1})
		if err == nil && len(a.Hospitals.Answered) == len(f.hospitals) {
			return
		}
		var r *refusal
		if time.Now().After(deadline) || err == nil || errors.As(err, &r) && r.Charged {
			f.t.Fatalf("%+v, %v", a, err)
		}
	}
}

// A node's machine is lost: its ledger and keys come back from last night's backup, and what it lacks is acknowledged.
func TestNodeRestoredFromBackup(t *testing.T) {
	f := startFederation(t, wards(t))
	f.anew(1, 1)
	backup := f.path("backup")
	out := f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", backup) // the node runs
	if !strings.Contains(out, "entries added") {
		t.Error(out)
	}
	f.anew(2, 1)
	f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", backup)
	f.anew(3, 1) // after the backup
	f.killNode("mid")
	for _, name := range []string{"", "-wal", "-shm", ".key", ".pub", ".lock"} {
		if err := os.Remove(f.path("mid.ledger" + name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	f.must("ledger", "restore", "--from", backup, "--file", f.path("mid.ledger"))
	if got := f.charged("mid"); got != 2 {
		t.Errorf("charged %v", got)
	}
	// The coordinator knows that an entry is missing, and nothing is answered until somebody has said so.
	f.restartNode("mid")
	if !f.nodes["mid"].logged("a part of the privacy ledger is missing", soon) {
		t.Fatal(f.nodes["mid"].tail(5))
	}
	if err := f.nodes["mid"].stop(); err != nil {
		t.Error(err)
	}
	f.must("ledger", "acknowledge", "--file", f.path("mid.ledger"), "--checkpoint", f.path("mid.ledger.ahead.json"), "--by", "claire", "--reason", "the disk failed")
	f.restartNode("mid")
	f.answers(4)
	// What was lost is not given back.
	out = f.must("ledger", "show", "--file", f.path("mid.ledger"), "--kind", "recover")
	if !strings.Contains(out, "claire acknowledged") || !strings.Contains(out, "ε = 1") {
		t.Error(out)
	}
	// A backup goes on from here, into a folder of its own or the same.
	f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", backup)
	if info, err := os.Stat(filepath.Join(backup, "mid.ledger.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}
