package integration

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The hospital counts queries that fail after their charge, over restarts. At the fifth, the study is suspended there
// and refused before any charge, until the custodian resumes it.
func TestFailuresSuspendAStudy(t *testing.T) {
	s := wardsOf(t, "east")
	s.failures, s.timeout = 5, time.Second
	f := startFederation(t, s)
	fail := func() {
		t.Helper()
		if _, err := f.query(request{SQL: slow, Epsilon: 1}); err == nil {
			t.Fatal("the slow query has an answer")
		} else {
			refused(t, err, "TIMEOUT", "east")
		}
	}
	for range 3 {
		fail()
	}
	f.stopNode("east")
	f.startNode("east")
	f.await("east")
	f.expectCharged(3)
	for range 2 {
		fail()
	}
	f.expectCharged(5)
	// The coordinator learns it within seconds. Until then the node itself refuses. Either way it costs nothing.
	_, err := f.query(request{SQL: quick, Epsilon: 1})
	e := refused(t, err, "HOSPITAL_REFUSED", "east")
	if len(e.Hospitals) != 1 || !slices.Contains([]string{"NODE_FAILURES", "STUDY_NOT_OPEN"}, e.Hospitals[0].Code) {
		t.Errorf("refused with %+v", e)
	}
	f.stopNode("east")
	f.startNode("east")
	f.await("east")
	if _, err = f.query(request{SQL: quick, Epsilon: 1}); err == nil {
		t.Error("a restart lifts the suspension")
	}
	f.expectCharged(5)
	ledger := f.path("east.ledger")
	if out := f.must("ledger", "show", "--file", ledger, "--kind", "failure"); strings.Count(out, "NODE_TIMEOUT") != 5 ||
		!strings.Contains(out, "It is failure 5 of the 5 that the study trial may have here: the study is suspended here until the custodian resumes it.") {
		t.Errorf("the ledger says\n%s", out)
	}
	if out := f.must("study", "list", "--file", ledger); !strings.Contains(out, "suspended after 5 failed queries") {
		t.Errorf("the list of studies says\n%s", out)
	}
	if out := f.must("study", "resume", "trial", "--file", ledger, "--key", f.path("claire.key"), "--reason", "the disk was slow"); !strings.Contains(out, "claire resumed version 1 of the study trial at east, as it held before") {
		t.Errorf("the resumption says\n%s", out)
	}
	f.eventually(func() bool {
		_, err := f.query(request{SQL: quick, Epsilon: 1})
		return err == nil
	})
	f.expectCharged(6)
}
