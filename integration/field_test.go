package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"golang.org/x/text/encoding/charmap"
)

const fieldCatalog = `
catalog: field
max_sites: 1
hospital_column: true
max_groups: 100
max_rows: 100
tables:
  late: {patient: pid, columns: {pid: {type: text, nullable: false}, sex: {type: text, domain: [F, M]}, motive: {type: text}}}
  town: {patient: pid, columns: {pid: {type: text, nullable: false}, town: {type: text, domain: [Paris, Orléans]}}}
  sejour: {patient: ipp, columns: {ipp: {type: text, nullable: false}, poids_kg: {type: float, bounds: [0, 200]}, deces: {type: bool}}}
  unnamed: {patient: pid, columns: {pid: {type: text, nullable: false}, sex: {type: text, domain: [F, M]}}}
  letter: {patient: pid, columns: {pid: {type: text, nullable: false}, dead: {type: int, bounds: [0, 1]}}}
  note: {patient: pid, columns: {pid: {type: text, nullable: false}, sex: {type: text, domain: [F]}}}
  french: {patient: pid, columns: {pid: {type: text, nullable: false}, poids: {type: float, bounds: [0, 200]}, jour: {type: date, bounds: [2020-01-01, 2024-12-31]}, deces: {type: bool}}}
  drift: {patient: pid, columns: {pid: {type: text, nullable: false}, hba1c: {type: float, bounds: [0, 20]}}}
  added: {patient: pid, columns: {pid: {type: text, nullable: false}, ward: {type: text}}}
  other: {patient: pid, columns: {pid: {type: text, nullable: false}, dead: {type: int, bounds: [0, 1]}}}
  nocase: {patient: ipp, columns: {ipp: {type: text, nullable: false}, ward: {type: text, domain: [North, NORTH]}, x: {type: int, bounds: [0, 10]}}}
  view: {patient: pid, columns: {pid: {type: text, nullable: false}, dead: {type: int, bounds: [0, 1]}}}
`

// fieldFiles are small files like hospitals' exports in public reports, by the table that they belong to.
func fieldFiles(t *testing.T) map[string]string {
	latin := func(s string) string {
		s, err := charmap.Windows1252.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	lines := func(header string, n int, line func(i int) string) string {
		b := strings.Builder{}
		b.WriteString(header)
		for i := 1; i <= n; i++ {
			b.WriteString(line(i))
		}
		return b.String()
	}
	sex := func(i int) string { return "MF"[i%2 : i%2+1] }
	return map[string]string{
		// duckdb#13197: a free text contains a comma, late in the file and only in lines of men.
		"late.csv": lines("pid,sex,motive\n", 30000, func(i int) string {
			motive := "fever"
			if i > 25000 && i%10 == 0 {
				motive = "fever, cough"
			}
			return fmt.Sprintf("%d,%s,%s\n", i, sex(i), motive)
		}),
		// duckdb#12338: Windows-1252.
		"town.csv": latin(lines("pid,sex,town\n", 3000, func(i int) string {
			return fmt.Sprintf("%d,%s,%s\n", i, sex(i), map[bool]string{true: "Orléans", false: "Paris"}[i%50 == 0])
		})),
		// duckdb#17291: a French export.
		"sejour.csv": latin(lines("N° patient;Date d'entrée;Poids (kg);Unité;Sexe;Décès\r\n", 400, func(i int) string {
			return fmt.Sprintf("%08d;%02d/09/2022;%d,5;Réanimation;F;%s\r\n", i, i%28+1, 50+i%50, map[bool]string{true: "O", false: "N"}[i%4 == 0])
		})),
		// vantage6#2686: no header.
		"unnamed.csv": lines("", 100, func(i int) string { return fmt.Sprintf("%d,%s,SECRET%d\n", i, sex(i), i) }),
		// duckdb#18577: a line feed within quotes.
		"letter.csv": lines("pid,note,dead\n", 100, func(i int) string { return fmt.Sprintf("%d,\"line one\nline \"\"two\"\", %d\",%d\n", i, i, i%2) }),
		// duckdb#12338: a long text. No message may quote a part of it.
		"note.csv": lines("pid,sex,note\n", 100, func(i int) string {
			return fmt.Sprintf("%d,F,%s\n", i, map[bool]string{true: "SECRET" + strings.Repeat("x", 3_000_000), false: "short"}[i == 50])
		}),
		// duckdb#12856: decimal commas, days of dd/mm/yyyy, O and N.
		"french.csv": lines("pid;poids;jour;deces\n", 100, func(i int) string {
			return fmt.Sprintf("%d;%d,0;%02d/03/2023;%s\n", i, 50+i%50, i%28+1, map[bool]string{true: "O", false: "N"}[i%2 == 1])
		}),
		// DataQualityDashboard#110: the patient's column has another name.
		"other.csv": lines("patient,dead\n", 100, func(i int) string { return fmt.Sprintf("%d,%d\n", i, i%2) }),
	}
}

// fieldTables are the same as a .duckdb file and as Parquet files.
func fieldTables(o *oracle, folder string) {
	// vEcoli#318 and duckdb#15380: files of one table with different types, and with an additional column.
	for name, query := range map[string]string{
		"drift/2021": "SELECT range + 1 AS pid, 7::BIGINT AS hba1c FROM range(100)", "drift/2022": "SELECT range + 101 AS pid, 6.5::DOUBLE AS hba1c FROM range(100)",
		"added/1": "SELECT range + 1 AS pid FROM range(50)", "added/2": "SELECT range + 51 AS pid, 'north' AS ward FROM range(50)",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			o.t.Fatal(err)
		}
		o.do("COPY (" + query + ") TO '" + filepath.Join(folder, name) + ".parquet'")
	}
}

// fieldDatabase is a .duckdb file with COLLATE NOCASE columns (duckdb#24319), and a view that reads a file
// (metabase_duckdb_driver#4).
func fieldDatabase(o *oracle, folder string) string {
	path := filepath.Join(folder, "h.duckdb")
	o.do("COPY (SELECT range AS pid, range % 2 AS dead FROM range(100)) TO '" + folder + "/view.csv'")
	o.do("ATTACH '" + path + "' AS h")
	o.do("CREATE TABLE h.nocase (ipp VARCHAR COLLATE NOCASE NOT NULL, ward VARCHAR COLLATE NOCASE, x INT)")
	o.do("INSERT INTO h.nocase SELECT p || i, w, k FROM range(1, 31) a (i), range(1, 4) b (k), (VALUES ('a', 'North'), ('A', 'NORTH')) c (p, w)")
	o.do("CREATE VIEW h.view AS SELECT * FROM read_csv('" + folder + "/view.csv')")
	o.do("DETACH h")
	return path
}

const fieldSettings = `
  duckdb:
    folder: %s
    timezone: Europe/Paris
    csv: {max_rejected: 2 %%}
    tables:
      town: {csv: {encoding: windows-1252}}
      sejour: {columns: {ipp: N° patient}, csv: {encoding: windows-1252, delimiter: ;, decimal: ",", true: [O], false: [N]}}
      unnamed: {csv: {header: [pid, sex, name]}}
      letter: {csv: {multiline: true}}
      french: {csv: {delimiter: ;, decimal: ",", date_format: dd/mm/yyyy, true: [O], false: [N]}}
      other: {columns: {pid: patient}}
`

// TestField checks data from the field at three hospitals: one that declares how it writes them, one that declares
// nothing, and one with a database. Each number is right, or its table is refused and check says why. Losses are
// reported with the answer, one bad table closes no other, and nothing quotes a row. The commands of testdata/field:
// check, init and query, the last with the hospitals that are missing and the warnings.
func TestField(t *testing.T) {
	o, dir := newOracle(t), t.TempDir()
	folders := map[string]string{}
	for _, name := range []string{"bare", "declared", "database"} {
		folders[name] = filepath.Join(dir, name)
		if err := os.Mkdir(folders[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range fieldFiles(t) {
		for _, folder := range []string{folders["bare"], folders["declared"]} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	fieldTables(o, folders["bare"])
	fieldTables(o, folders["declared"])
	catalog := filepath.Join(dir, "field.yaml")
	if err := os.WriteFile(catalog, []byte(fieldCatalog), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFederation(t, shape{catalog: catalog, folders: folders, require: "1", engine: map[string]string{
		"declared": fmt.Sprintf(fieldSettings, folders["declared"]), "database": "{duckdb: {database: " + fieldDatabase(o, folders["database"]) + "}}"}})
	door := freeAddress(t)
	f.write("coordinator.yaml", readAll(t, f.path("coordinator.yaml"))+"postgres: {listen: "+door+"}\n")
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	datadriven.RunTest(t, "testdata/field", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "check", "init":
			args := []string{"catalog", d.Cmd, "--config", f.path(strings.TrimSpace(d.Input) + ".yaml")}
			out, err := exec.Command(binary, args...).CombinedOutput()
			if err != nil && errors.As(err, new(*exec.ExitError)) {
				out = fmt.Appendf(out, "%v\n", err)
			} else if err != nil {
				t.Fatal(err)
			}
			return strings.ReplaceAll(string(out), dir+"/", "")
		case "query":
			a, err := f.query(request{SQL: d.Input, Epsilon: exactEpsilon / 2})
			if err != nil {
				return err.Error() + "\n"
			}
			var b strings.Builder
			for _, row := range a.Rows {
				for i, c := range row {
					if i > 0 {
						b.WriteString(", ")
					}
					if x, ok := c.Value.(float64); ok {
						fmt.Fprintf(&b, "%.6g", x)
					} else {
						fmt.Fprint(&b, c.Value)
					}
				}
				b.WriteString("\n")
			}
			for _, m := range a.Hospitals.Missing {
				fmt.Fprintf(&b, "without %s: %s\n", m.Name, m.Code)
			}
			for _, w := range a.Warnings {
				fmt.Fprintf(&b, "warning: %s\n", w)
			}
			return b.String()
		}
		t.Fatalf("unknown command %s", d.Cmd)
		return ""
	})
	t.Run("doors", func(t *testing.T) { f.testCaveatDoors(t, door) })
	for _, name := range append(f.hospitals, "coordinator") {
		if log := readAll(t, f.path(name+".log")); strings.Contains(log, "SECRET") || strings.Contains(log, "line one") {
			t.Errorf("the log of %s quotes a row", name)
		}
	}
}

// testCaveatDoors checks that a loss that a hospital accepts is shown before payment, and with the answer at every
// door.
func (f *federation) testCaveatDoors(t *testing.T, door string) {
	const sql = "SELECT COUNT(*) AS n FROM late WHERE motive = 'fever'"
	const want = "at 1 of 1 hospitals (declared) up to 2 % of the lines of late may be missing, since they do not fit the rest of their files"
	for _, args := range [][]string{{"explain", sql}, {"explain", "--format", "json", sql}, {"query", "EXPLAIN " + sql}, {"query", "--format", "csv", sql}, {"query", sql}, {"query", "--format", "json", sql}} {
		out, err := f.command(t.Context(), args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("intramuros %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	c, said := f.connectPostgres(t, door)
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(*said, "WARNING: "+want+"\n") {
		t.Errorf("the PostgreSQL door says:\n%s", *said)
	}
	// The answer also says how much clipping left out.
	const beyond = " of the rows are beyond the limit of 1 row a patient (max_rows) and left out"
	for _, format := range []string{"table", "csv", "json"} {
		out, err := f.command(t.Context(), "query", "--max-rows", "1", "--format", format, sql).CombinedOutput()
		if err != nil || !strings.Contains(string(out), beyond) {
			t.Errorf("as %s, the bias is not told: %v\n%s", format, err, out)
		}
	}
	if _, err := c.Exec(t.Context(), "SET intramuros.max_rows = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), sql); err != nil || !strings.Contains(*said, beyond) {
		t.Errorf("the PostgreSQL door does not tell the bias: %v\n%s", err, *said)
	}
}
