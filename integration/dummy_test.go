package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A federation over dummy data of a given catalog answers, sealed and with noise, and then almost exactly. The same
// data also come in one file.
func TestDummyFederation(t *testing.T) {
	catalog, err := filepath.Abs("testdata/ward.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "demo", "--catalog", catalog, "--patients", "300").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"made of the catalog ward alone", "marseille opens no port, its node dials out", "FROM beat", "sealed: each hospital added its own noise", "cost: epsilon 100"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	file := filepath.Join(t.TempDir(), "ward.duckdb")
	if out, err := exec.CommandContext(t.Context(), binary, "synth", "--catalog", catalog, "--out", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), binary, "catalog", "check", "--catalog", catalog, "--database", file).CombinedOutput(); err != nil {
		t.Errorf("its own catalog does not fit: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), binary, "synth", "--catalog", filepath.Join(t.TempDir(), "none.yaml"), "--out", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "none.yaml") {
		t.Errorf("of a catalog that is not there: %v\n%s", err, out)
	}
}
