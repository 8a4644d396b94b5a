package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestClients runs other people's clients against the doors of a federation: `make test-clients`, which installs them.
// INTRAMUROS_CLIENTS names their folder.
func TestClients(t *testing.T) {
	installed := clients(t)
	data := t.TempDir()
	folders := map[string]string{}
	for _, name := range []string{"brest", "nantes", "rennes"} {
		folders[name] = filepath.Join(data, name)
	}
	f := newFederation(t, shape{catalog: "builtin:omop-5.4", folders: folders})
	f.must("synth", "--out", data, "--patients", "3000", "--hospitals", "brest,nantes,rennes")
	flight, postgres := freeAddress(t), freeAddress(t)
	b, err := os.ReadFile(f.path("coordinator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const poor = "a-token-of-one-without-budget"
	sum := sha256.Sum256([]byte(poor))
	f.write("coordinator.yaml", string(b)+"  poor: {token_sha256: "+hex.EncodeToString(sum[:])+", budget: {accounting: pure, epsilon: 0.1, delta: 1e-9}}\n"+
		"flight_sql: {listen: '"+flight+"'}\npostgres: {listen: '"+postgres+"'}\n")
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)

	// Every door must give this answer, which was bought over the HTTP API.
	a, err := f.query(request{SQL: "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1"})
	if err != nil {
		t.Fatal(err)
	}
	var expected [][]any
	for _, row := range a.Rows {
		expected = append(expected, []any{row[0].Value, row[1].Value, row[1].Low, row[1].High})
	}
	rows, err := json.Marshal(expected)
	if err != nil {
		t.Fatal(err)
	}
	mixed := "SELECT gender_concept_id, 9007199254740993 AS big, DATE '2020-02-29' AS day, NULLIF(1, 1) AS nothing, COUNT(*) * 0.25 AS quarter, COUNT(*) AS n" +
		" FROM person WHERE gender_concept_id = ANY(?1) AND year_of_birth >= ?2 GROUP BY 1 ORDER BY 1"
	if a, err = f.query(request{SQL: strings.NewReplacer("?1", "'{8507,8532}'", "?2", "1950").Replace(mixed)}); err != nil {
		t.Fatal(err)
	}
	var several [][]any
	for _, row := range a.Rows {
		big, ok := row[1].Value.(string) // more than JSON's numbers can surely hold
		if !ok {
			t.Fatalf("%T", row[1].Value)
		}
		several = append(several, []any{row[0].Value, json.Number(big), row[2].Value, row[3].Value, row[4].Value, row[5].Value})
	}
	severalRows, err := json.Marshal(several)
	if err != nil {
		t.Fatal(err)
	}
	environment := append(os.Environ(), "CLIENT_MIXED="+mixed, "CLIENT_MIXED_ROWS="+string(severalRows), "CLIENT_MODULES="+installed.modules(), "CLIENT_TOOLS="+installed.tools(), "CLIENT_FLIGHT="+flight, "CLIENT_POSTGRES="+postgres, "CLIENT_CA="+f.path("pki/ca.pem"),
		"CLIENT_TOKEN="+token, "CLIENT_POOR="+poor, "CLIENT_EXPECTED="+string(rows), "PYTHONDONTWRITEBYTECODE=1")
	python := installed.python()
	run := func(name string, command ...string) {
		t.Run(name, func(t *testing.T) {
			c := exec.Command(command[0], command[1:]...)
			c.Env, c.Dir = environment, "clients"
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for _, p := range matrix {
		if p.command != nil && (p.there == nil || p.there(t)) {
			run(p.name, p.command(installed)...)
		}
	}
	t.Run("postgres_fdw", func(t *testing.T) { foreign(t, postgres, f.path("pki/ca.pem"), expected) })
	run("notebook", python, "notebook.py", filepath.Join("..", "..", "docs", "quickstart.ipynb"))

	// The quickstarts as they are in the documents, except for names.
	names := strings.NewReplacer("query.example.org:8815", flight, "query.example.org", strings.Split(postgres, ":")[0], "5432", strings.Split(postgres, ":")[1],
		"alice", "ada", "diabetes-2027", studyID)
	f.write("ca.pem", readAll(t, f.path("pki/ca.pem")))
	for document, language := range map[string]string{"quickstart-python.md": "python", "quickstart-r.md": "r", "quickstart-bi.md": "sh"} {
		fence := regexp.MustCompile("(?s)```" + language + "\n(.*?)```")
		blocks := fence.FindAllStringSubmatch(readAll(t, filepath.Join("..", "docs", document)), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no %s", document, language)
		}
		interpreter := map[string]string{"python": python, "r": "Rscript", "sh": "bash"}[language]
		for i, block := range blocks {
			t.Run(document+"/"+string(rune('a'+i)), func(t *testing.T) {
				if language == "r" && exec.Command("Rscript", "-e", `stopifnot(requireNamespace("RPostgreSQL"), requireNamespace("dbplyr"))`).Run() != nil {
					t.Skip("R with RPostgreSQL and dbplyr is not installed (Debian: r-cran-rpostgresql, r-cran-dbplyr)")
				}
				f.write("script", names.Replace(block[1]))
				c := exec.Command(interpreter, f.path("script"))
				c.Env, c.Dir = environment, f.dir
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// clients is the folder in which make test-clients installs them.
func clients(t *testing.T) installation {
	t.Helper()
	folder := os.Getenv("INTRAMUROS_CLIENTS")
	if folder == "" {
		t.Skip("INTRAMUROS_CLIENTS is not set: make test-clients installs the clients and runs this")
	}
	return installation(folder)
}

// odbc and perl report whether Debian's packages for them are installed.
func odbc(t *testing.T) bool {
	b, err := os.ReadFile("/etc/odbcinst.ini")
	if err != nil || !strings.Contains(string(b), "[PostgreSQL Unicode]") {
		t.Log("psqlODBC is not installed (Debian: odbc-postgresql)")
		return false
	}
	return true
}

func perl(t *testing.T) bool {
	if exec.Command("perl", "-MDBD::Pg", "-e", "1").Run() != nil {
		t.Log("DBD::Pg is not installed (Debian: libdbd-pg-perl)")
		return false
	}
	return true
}

type installation string

// tools is the folder of programs with an environment of their own.
func (i installation) tools() string { return filepath.Join(string(i), "tools", "bin") }

func (i installation) modules() string { return filepath.Join(string(i), "node", "node_modules") }

func (i installation) python() string { return filepath.Join(string(i), "venv", "bin", "python") }

// java runs a source file with both drivers available.
func (i installation) java(source string, args ...string) []string {
	jars := filepath.Join(string(i), "jars")
	return append([]string{
		"java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", filepath.Join(jars, "flight-sql-jdbc-driver.jar") + ":" + filepath.Join(jars, "postgresql.jar"), source,
	}, args...)
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
