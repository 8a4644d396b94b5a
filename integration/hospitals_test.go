package integration

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// TestInstallNode follows docs/install-node.md from a folder of French CSV exports to a first answer, with the commands
// of the page: a certificate and keys, a drafted catalog with the settings of the files, check, the custodian's
// approval, and what left.
func TestInstallNode(t *testing.T) {
	folder, dir := t.TempDir(), t.TempDir()
	days := frenchExport(t, filepath.Join(folder, "Séjours.csv"))
	page := strings.Join(strings.Fields(readAll(t, "../docs/install-node.md")), " ")
	replace := []string{"/srv/exports", folder}
	// walk runs a command of the page, with everything in dir.
	walk := func(command string) string {
		t.Helper()
		if !strings.Contains(page, command) {
			t.Fatalf("docs/install-node.md does not say %s", command)
		}
		command = strings.TrimPrefix(strings.TrimPrefix(command, "sudo -u intramuros "), "intramuros ")
		run := exec.Command(binary, strings.Fields(strings.NewReplacer(replace...).Replace(command))...)
		run.Dir = dir
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("intramuros %s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	walk("intramuros catalog init --folder /srv/exports --patient n_patient --out draft.yaml")
	draft := readAll(t, filepath.Join(dir, "draft.yaml"))
	if strings.Contains(draft, "00000001") {
		t.Errorf("the draft shows a patient:\n%s", draft)
	}
	// The settings that the draft proposes for node.yaml, used unchanged.
	_, settings, ok := strings.Cut(draft, "#       sejours: {csv: ")
	if !ok {
		t.Fatalf("no settings are proposed:\n%s", draft)
	}
	settings, _, _ = strings.Cut(settings, "}}\n")
	f := newFederation(t, shape{catalog: filepath.Join(dir, "draft.yaml"), folders: map[string]string{"chu-lyon": folder}, unapproved: []string{"chu-lyon"},
		engine: map[string]string{"chu-lyon": "\n  duckdb:\n    folder: " + folder + "\n    csv: " + settings + "}\n"}})
	dir = f.dir
	replace = append(replace, "/etc/intramuros/node.yaml", "chu-lyon.yaml", "/var/lib/intramuros/node.ledger", "chu-lyon.ledger", "--node node.ledger", "--node chu-lyon.ledger",
		"diabetes-2027", studyID, "--out claire", "--out keys-claire", "--out rhone.yaml", "--out rhone-draft.yaml")
	for _, name := range []string{"node-chu-lyon.pem", "node-chu-lyon.key"} {
		if err := os.Remove(f.path(filepath.Join("pki", name))); err != nil {
			t.Fatal(err)
		}
	}
	replace = append(replace, "--federation france", "--federation "+federationName, "/etc/intramuros/keys", "pki", "--request node-chu-lyon.csr", "--request pki/node-chu-lyon.csr")
	_, asked, _ := strings.Cut(walk("intramuros pki request --federation france --role node --name chu-lyon --out /etc/intramuros/keys"), "fingerprint")
	_, signed, _ := strings.Cut(walk("intramuros pki sign --dir pki --request node-chu-lyon.csr --role node --name chu-lyon --days 90"), "fingerprint")
	if asked == "" || asked != signed {
		t.Errorf("the hospital reads %q, and the operator %q", asked, signed)
	}
	walk("intramuros pki key --out claire")
	readAll(t, f.path("keys-claire.pub"))
	walk("sudo -u intramuros intramuros catalog init --config /etc/intramuros/node.yaml --name rhone --out rhone.yaml")
	if out := walk("sudo -u intramuros intramuros catalog check --config /etc/intramuros/node.yaml"); !strings.Contains(out, "0 errors, 0 warnings") {
		t.Errorf("check: %s", out)
	}
	f.startCoordinator()
	f.startNode("chu-lyon")
	f.await("chu-lyon")
	f.eventually(func() bool {
		return strings.Contains(walk("intramuros study list --file /var/lib/intramuros/node.ledger"), studyID)
	})
	walk("intramuros study show diabetes-2027 --file /var/lib/intramuros/node.ledger")
	question := request{SQL: "SELECT COUNT(*), AVG(poids_kg), COUNT(date_d_entree), SUM(CASE WHEN deces THEN 1 ELSE 0 END) FROM sejours", Epsilon: exactEpsilon}
	if _, err := f.query(question); err == nil {
		t.Error("an answer before the custodian approved")
	}
	walk("intramuros study approve diabetes-2027 --file /var/lib/intramuros/node.ledger --key claire.key")
	var a *answer
	f.eventually(func() (ok bool) {
		var err error
		a, err = f.query(question)
		return err == nil
	})
	want := []float64{400, 0, float64(days), 100}
	for i := 1; i <= 400; i++ {
		want[1] += (float64(50+i%50) + float64(i%10)/10) / 400
	}
	for i, w := range want {
		if got, _ := a.Rows[0][i].Value.(float64); math.Abs(got-w) > 1e-3 {
			t.Errorf("column %d is %v, not %v", i, a.Rows[0][i].Value, w)
		}
	}
	if out := walk("intramuros ledger show --file /var/lib/intramuros/node.ledger"); !strings.Contains(out, "partial aggregates left for") {
		t.Errorf("ledger show does not tell what left:\n%s", out)
	}
	walk("intramuros ledger verify --file /var/lib/intramuros/node.ledger")
	walk("intramuros ledger export --file /var/lib/intramuros/node.ledger --csv")
	walk("intramuros ledger reconcile --node node.ledger --coordinator coordinator.ledger")
}

// frenchExport writes a file like French spreadsheets do, and returns how many of its 400 rows have a day.
func frenchExport(t *testing.T, path string) (days int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("N° patient;Date d'entrée;Poids (kg);Unité;Décès\r\n")
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
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return days
}

// TestGiBleedAsShipped checks OHDSI's original files, three of whose keys occur twice. With `key: none` for these, set
// by catalog check --fix, every table answers, and what relies on such a key is refused.
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
