package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestCustodyAfterTheFirstDay checks that a custodian can narrow a study in a file, suspend it, and resume it with the
// narrower terms, all with commands next to the running node. Where two signatures are required, a decision that opens
// a study waits for the second, and a decision that closes it does not.
func TestCustodyAfterTheFirstDay(t *testing.T) {
	f := startFederation(t, wardsOf(t, "east"))
	ledger, key := f.path("east.ledger"), f.path("claire.key")
	asked := 0
	ask := func(epsilon float64) error { // a new question each time: a repeated one gets the stored answer
		asked++
		_, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(*) FROM reading WHERE x > %d", asked), Epsilon: epsilon})
		return err
	}
	open := func() { f.t.Helper(); f.eventually(func() bool { return ask(0.05) == nil }) }
	closed := func() { f.t.Helper(); f.eventually(func() bool { return ask(0.05) != nil }) }
	open()

	held := f.must("study", "show", studyID, "--file", ledger, "--document=held")
	if proposed := f.must("study", "show", studyID, "--file", ledger, "--document"); !strings.Contains(proposed, "id: "+studyID) || !strings.Contains(held, "budget:") {
		t.Fatalf("the documents are\n%s\n%s", proposed, held)
	}
	var lines []string
	for line := range strings.Lines(held) {
		if strings.HasPrefix(line, "max_epsilon:") || strings.HasPrefix(line, "default_epsilon:") {
			key, _, _ := strings.Cut(line, ":")
			line = key + ": 0.1\n"
		}
		lines = append(lines, line)
	}
	f.write("narrower.yaml", strings.Join(lines, ""))
	if out := f.must("study", "narrow", studyID, "--file", ledger, "--key", key, "--document", f.path("narrower.yaml"), "--reason", "fewer at once"); !strings.Contains(out, "claire narrowed version 1 of the study "+studyID+" at east") {
		t.Error(out)
	}
	f.must("study", "suspend", studyID, "--file", ledger, "--key", key, "--reason", "a question to the committee")
	closed()
	if out := f.must("study", "show", studyID, "--file", ledger); !strings.Contains(out, "a question to the committee") || !strings.Contains(out, "what study resume opens again:") || !strings.Contains(out, "at most epsilon 0.1") {
		t.Errorf("how it stands\n%s", out)
	}
	f.must("study", "resume", studyID, "--file", ledger, "--key", key)
	open()
	if err := ask(0.5); err == nil {
		t.Error("a resumed study has the terms of the proposal")
	}

	// From now on, two custodians must sign.
	f.stopNode("east")
	f.must("pki", "key", "--out", f.path("bert"))
	conf, err := os.ReadFile(f.path("east.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	two := strings.Replace(string(conf), "custodians: {", "signatures_required: 2\ncustodians: {bert: "+f.path("bert.pub")+", ", 1)
	if two == string(conf) {
		t.Fatalf("no custodians in\n%s", conf)
	}
	f.write("east.yaml", two)
	f.startNode("east")
	f.await("east")
	if err := ask(0.05); err == nil {
		t.Error("one signature is enough")
	}
	if out := f.must("study", "list", "--file", ledger); !strings.Contains(out, "(1 more must sign)") {
		t.Error(out)
	}
	if out := f.must("study", "approve", studyID, "--file", ledger, "--key", key, "--max-epsilon", "0.2"); !strings.Contains(out, "It opens nothing yet: 1 more of the custodians must sign the same") {
		t.Error(out)
	}
	if out := f.must("study", "show", studyID, "--file", ledger); !strings.Contains(out, "claire signed to approve it, and 1 more must") {
		t.Error(out)
	}
	f.must("study", "cosign", studyID, "--file", ledger, "--key", f.path("bert.key"))
	open()
	f.must("study", "suspend", studyID, "--file", ledger, "--key", f.path("bert.key")) // one is enough
	closed()
	if out := f.must("ledger", "show", "--file", ledger, "--kind", "study"); !strings.Contains(out, "It opens nothing before 1 more of the custodians have signed the same.") {
		t.Error(out)
	}
}
