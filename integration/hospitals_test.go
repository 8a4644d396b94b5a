package integration

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// TestFrenchExports walks docs/install-node.md from a folder of French CSV exports to a first answer, by its commands: init drafts a catalog
// and the settings of the files, check compares, and the node answers the right values.
func TestFrenchExports(t *testing.T) {
	folder := t.TempDir()
	var b strings.Builder
	b.WriteString("N° patient;Date d'entrée;Poids (kg);Unité;Décès\r\n")
	days := 0
	for i := 1; i <= 400; i++ {
		weight, day := fmt.Sprintf("%d,%d", 50+i%50, i%10), fmt.Sprintf("%02d/03/2023", i%28+1)
		if i%50 == 0 {
			day = "NA"
		} else {
			days++
		}
		fmt.Fprintf(&b, "%08d;%s;%s;%s;%s\r\n", i, day, weight, []string{"Réanimation", "Urgences"}[i%2], []string{"N", "O"}[i%4/3])
	}
	text, err := charmap.Windows1252.NewEncoder().String(b.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "Séjours.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	catalog := filepath.Join(t.TempDir(), "rhone.yaml")
	f := &federation{t: t}
	f.must("catalog", "init", "--folder", folder, "--name", "rhone", "--patient", "n_patient", "--out", catalog)
	draft, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(draft), "00000001") {
		t.Errorf("the draft shows a patient:\n%s", draft)
	}
	// The settings that the draft proposes for node.yaml, taken as they are.
	_, settings, ok := strings.Cut(string(draft), "#       sejours: {csv: ")
	if !ok {
		t.Fatalf("no settings are proposed:\n%s", draft)
	}
	settings, _, _ = strings.Cut(settings, "}}\n")
	f = newFederation(t, shape{catalog: catalog, folders: map[string]string{"lyon": folder}, engine: map[string]string{"lyon": "\n  duckdb:\n    folder: " + folder + "\n    csv: " + settings + "}\n"}})
	if out := f.must("catalog", "check", "--config", f.path("lyon.yaml")); !strings.Contains(out, "0 errors, 0 warnings") {
		t.Errorf("check: %s", out)
	}
	f.startCoordinator()
	f.startNode("lyon")
	f.await("lyon")
	a, err := f.query(request{SQL: "SELECT COUNT(*), AVG(poids_kg), COUNT(date_d_entree), SUM(CASE WHEN deces THEN 1 ELSE 0 END) FROM sejours", Epsilon: exactEpsilon})
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{400, 0, float64(days), 100}
	for i := 1; i <= 400; i++ {
		want[1] += (float64(50+i%50) + float64(i%10)/10) / 400
	}
	for i, w := range want {
		if got, _ := a.Rows[0][i].Value.(float64); math.Abs(got-w) > 1e-3 {
			t.Errorf("column %d is %v, not %v", i, a.Rows[0][i].Value, w)
		}
	}
}

// TestGiBleedAsShipped: the files as OHDSI ships them, three of whose keys are there twice. With `key: none` for these, by
// catalog check --fix, every table answers, and what rests on the key is refused.
func TestGiBleedAsShipped(t *testing.T) {
	source := dataFolder(t, "gibleed")
	o := newOracle(t)
	f := newFederation(t, shape{catalog: "builtin:omop-5.4", folders: map[string]string{"lyon": source}})
	out, err := f.command(t.Context(), "catalog", "check", "--fix", "--config", f.path("lyon.yaml")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, table := range []string{"drug_exposure", "measurement", "observation"} {
		if !strings.Contains(string(out), "fixed    "+table) {
			t.Errorf("%s is not fixed:\n%s", table, out)
		}
	}
	if out := f.must("catalog", "check", "--config", f.path("lyon.yaml")); !strings.Contains(out, " 0 errors, ") {
		t.Fatalf("check: %s", out)
	}
	f.startCoordinator()
	f.startNode("lyon")
	f.await("lyon")
	for _, table := range []string{"person", "observation_period", "visit_occurrence", "condition_occurrence", "condition_era", "drug_exposure", "drug_era", "measurement", "observation", "procedure_occurrence"} {
		var want float64
		if err := o.db.QueryRow(fmt.Sprintf("SELECT count(DISTINCT person_id) FROM '%s/%s.parquet'", source, table)).Scan(&want); err != nil {
			t.Fatal(err)
		}
		a, err := f.query(request{SQL: "SELECT COUNT(DISTINCT person_id) FROM " + table, Epsilon: exactEpsilon / 2})
		if err != nil {
			t.Errorf("%s: %v", table, err)
			continue
		}
		if got := a.Rows[0][0].Value; got != want {
			t.Errorf("%s: %v persons, not %v", table, got, want)
		}
	}
	if _, err := f.query(request{SQL: "SELECT COUNT(DISTINCT drug_exposure_id) FROM drug_exposure", Epsilon: exactEpsilon / 2}); err == nil || !strings.Contains(err.Error(), "HOSPITAL_REFUSED") {
		t.Errorf("a count of the key that is none: %v", err)
	}
}
