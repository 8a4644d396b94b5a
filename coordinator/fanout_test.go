package coordinator

import (
	"path/filepath"
	"testing"
	"time"
)

// A hospital that is connected but silent must not delay an answer for which the others are enough, neither while
// preparing nor while computing.
func TestSilentHospital(t *testing.T) {
	for name, silent := range map[string]map[string]bool{
		"prepares for ever": {actionPrepare: true, actionPing: true},
		"computes for ever": {"execute": true, actionPing: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, func(c *Config) { c.Require.atLeast = 2 })
			f.hospital("b").silent = silent
			began := time.Now()
			a := f.mustAsk(t, bySex)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if len(a.Missing) != 1 || a.Missing[0].Name != "b" || a.Missing[0].Code != absentUnreachable {
				t.Errorf("missing %v", a.Missing)
			}
			wantEnded(t, f.hospital("b"), 0) // so that it counts a failure
			wantRows(t, a, "F 20", "M 10")
		})
	}
}

// A hospital that is slow but answers pings is waited for, and its answer counts.
func TestSlowHospitalIsWaitedFor(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require.atLeast = 2 })
	f.hospital("b").took = 2 * time.Second
	if a := f.mustAsk(t, bySex); len(a.Missing) > 0 {
		t.Errorf("missing %v", a.Missing)
	}
}

// A hospital that computes forever does not prevent an answer of the others: it is released before the query's time is
// up.
func TestLateHospital(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require.atLeast, c.QueryTimeout = 2, 3*time.Second })
	f.hospital("b").silent = map[string]bool{"execute": true}
	a := f.mustAsk(t, bySex)
	if len(a.Missing) != 1 || a.Missing[0].Name != "b" || a.Missing[0].Code != absentTimeout {
		t.Errorf("missing %v", a.Missing)
	}
	wantEnded(t, f.hospital("b"), 0)
	wantRows(t, a, "F 20", "M 10")
}

// A connection does not outlive the certificate with which it was made.
func TestRevokedOnAnOpenConnection(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require.atLeast = 2 })
	if a := f.mustAsk(t, bySex); len(a.Missing) > 0 {
		t.Fatalf("missing %v", a.Missing)
	}
	dir := filepath.Dir(f.config.Nodes.CA)
	must(t, f.authority.Revoke(dir, filepath.Join(dir, "node-b.pem"), time.Hour))
	executed := f.hospital("b").executed
	a := f.mustAsk(t, "SELECT COUNT(*) FROM person WHERE age > 50")
	if len(a.Missing) != 1 || a.Missing[0].Name != "b" || a.Missing[0].Code != absentCertificate {
		t.Errorf("missing %v", a.Missing)
	}
	if f.hospital("b").executed != executed {
		t.Error("the revoked hospital was asked")
	}
}

// An answer does not count if the certificate was revoked while the hospital computed it.
func TestRevokedWhileComputing(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require.atLeast = 2 })
	f.hospital("b").took = 500 * time.Millisecond
	dir := filepath.Dir(f.config.Nodes.CA)
	revoked := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() {
		revoked <- f.authority.Revoke(dir, filepath.Join(dir, "node-b.pem"), time.Hour)
	})
	a := f.mustAsk(t, bySex)
	must(t, <-revoked)
	if len(a.Missing) != 1 || a.Missing[0].Code != absentCertificate {
		t.Errorf("missing %v", a.Missing)
	}
	wantRows(t, a, "F 20", "M 10")
}
