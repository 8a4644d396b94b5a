package integration

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// program is a program that the tests run against a federation, or two that one test runs.
type program struct {
	name     string   // the name of its test
	row      string   // the row of docs/quickstart-bi.md that it tests
	packages []string // the packages whose versions the row names
	command  func(installation) []string
	there    func(*testing.T) bool // nil: make test-clients installs it
}

// matrix is every program that make test-clients runs.
var matrix = []program{
	{"adbc", "ADBC for Flight SQL, with pandas and polars", []string{"adbc-driver-flightsql"}, inPython("flight.py"), nil},
	{"adbc-go", "ADBC for Flight SQL in Go, also under `database/sql`", []string{"github.com/apache/arrow-adbc/go/adbc"}, inGo("."), nil},
	{"psycopg", "psycopg 3, with pandas", []string{"psycopg[binary]", "pandas"}, inPython("postgres.py"), nil},
	{"sqlalchemy", "psycopg2, SQLAlchemy (its inspector as well)", []string{"psycopg2-binary", "sqlalchemy"}, inPython("alchemy.py"), nil},
	{"asyncpg-postgres", "asyncpg, with its pool", []string{"asyncpg"}, inPython("drivers.py", "asyncpg"), nil},
	{"psycopg2-postgres", "psycopg2, SQLAlchemy (its inspector as well)", []string{"psycopg2-binary", "sqlalchemy"}, inPython("drivers.py", "psycopg2"), nil},
	{"adbc-postgres", "ADBC for PostgreSQL, with pyarrow", []string{"adbc-driver-postgresql"}, inPython("drivers.py", "adbc"), nil},
	{"connectorx-postgres", "connector-x, polars `read_database_uri`", []string{"connectorx", "polars"}, inPython("drivers.py", "connectorx"), nil},
	{"pgx", "pgx, with its pool", []string{"github.com/jackc/pgx/v5"}, inGo("./pgx"), nil},
	{"node-postgres", "node-postgres", []string{"pg"}, func(installation) []string { return []string{"node", "node.mjs"} }, nil},
	{"psql", "psql", []string{"postgresql-client"}, func(installation) []string { return []string{"bash", "psql.sh"} }, nil},
	{"psqlodbc", "psqlODBC under unixODBC (pyodbc 5.5.0)", []string{"odbc-postgresql"}, inPython("drivers.py", "odbc"), odbc},
	{"dbd-pg", "DBD::Pg", []string{"libdbd-pg-perl"}, func(installation) []string { return []string{"perl", "driver.pl"} }, perl},
	{"flight-sql-jdbc", "Flight SQL JDBC, with all metadata calls", []string{"flight-sql-jdbc-driver"}, func(i installation) []string { return i.java("FlightSql.java") }, nil},
	{"pgjdbc", "pgJDBC, with all metadata calls", []string{"postgresql"}, func(i installation) []string { return i.java("Postgres.java") }, nil},
	{"pgcli", "pgcli", []string{"pgcli"}, func(installation) []string { return []string{"bash", "pgcli.sh"} }, nil},
	{"harlequin", "harlequin, by its adapter", []string{"harlequin"}, func(i installation) []string { return []string{filepath.Join(i.tools(), "python"), "workbench.py"} }, nil},
	{
		"dbt", "dbt-postgres: `debug`, `show`, and tests that are questions (`HAVING` says what must not be)", []string{"dbt-postgres", "dbt-core"},
		func(installation) []string { return []string{"bash", "dbt.sh"} }, nil,
	},
	{"pgadmin", "pgAdmin 4, by the requests of its pages", []string{"pgadmin4"}, func(i installation) []string {
		return []string{filepath.Join(string(i), "pgadmin", "bin", "python"), "pgadmin.py"}
	}, nil},
	{
		"superset", "Superset, without its pages", []string{"apache-superset"},
		func(i installation) []string {
			return []string{filepath.Join(string(i), "superset", "bin", "python"), "charts.py"}
		}, superset,
	},
	{"postgres_fdw", "postgres_fdw of PostgreSQL", []string{"postgresql-server"}, nil, nil},
	{"quickstart-r.md", "R: RPostgreSQL with dbplyr", []string{"r-cran-rpostgresql", "r-cran-dbplyr"}, nil, nil},
}

// outside is what the table says about a program for which CI has no time.
var outside = map[string]string{"superset": "`make test-superset`"}

// superset reports whether make test-superset has installed it.
func superset(t *testing.T) bool {
	_, err := os.Stat(filepath.Join(string(clients(t)), "superset"))
	return err == nil
}

func inPython(args ...string) func(installation) []string {
	return func(i installation) []string { return append([]string{i.python()}, args...) }
}

func inGo(folder string) func(installation) []string {
	return func(installation) []string { return []string{"go", "run", "-C", "golang", folder} }
}

// TestClientsAreListed checks that the table of docs/quickstart-bi.md names the programs of the matrix, no others as
// run in CI, and the pinned versions. Versions of Debian's packages are Debian's.
func TestClientsAreListed(t *testing.T) {
	pins := pinned(t)
	_, table, _ := strings.Cut(readAll(t, filepath.Join("..", "docs", "quickstart-bi.md")), "| client | version | run |")
	listed, where := map[string]string{}, map[string]string{} // the versions that are run, and by what
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "|") {
			if len(listed) > 0 {
				break
			}
			continue
		}
		if len(cells) < 3 {
			continue
		}
		if by := strings.TrimRight(cells[2], " |\n"); by == "in CI" || strings.HasPrefix(by, "`make ") {
			name := strings.TrimPrefix(cells[0], "| ")
			listed[name], where[name] = cells[1], by
		}
	}
	numbers := regexp.MustCompile(`\d+(\.\d+)+`)
	run := map[string]bool{}
	for _, p := range matrix {
		run[p.row] = true
		versions, ok := listed[p.row]
		if by := cmp.Or(outside[p.name], "in CI"); !ok || where[p.row] != by {
			t.Errorf("the table does not list %q as run %s", p.row, by)
			continue
		}
		var want []string
		for _, name := range p.packages {
			if v := pins[name]; v != "" {
				want = append(want, v)
			}
		}
		if got := numbers.FindAllString(versions, -1); len(want) == len(p.packages) && !slices.Equal(got, want) {
			t.Errorf("the table says %s of %q, and installed is %v", versions, p.row, want)
		}
	}
	for row := range listed {
		if !run[row] {
			t.Errorf("%q is listed as run, and nothing runs it", row)
		}
	}
}

// pinned returns the versions that the lists of integration/clients name.
func pinned(t *testing.T) map[string]string {
	pins := map[string]string{}
	for _, f := range []struct{ file, pattern string }{
		{"*.txt", `(?m)^([a-z0-9.\[\]-]+)==(\S+)`}, {"jars.txt", `(?m)^\w+ [^:]+:([^:]+):(\S+)`}, {"golang/go.mod", `(?m)^(?:require)?\s+(\S+) v(\S+)`},
	} {
		files, err := filepath.Glob(filepath.Join("clients", f.file))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", f.file, files, err)
		}
		for _, file := range files {
			for _, m := range regexp.MustCompile(f.pattern).FindAllStringSubmatch(readAll(t, file), -1) {
				pins[m[1]] = m[2]
			}
		}
	}
	var modules struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal([]byte(readAll(t, filepath.Join("clients", "package.json"))), &modules); err != nil {
		t.Fatal(err)
	}
	maps.Copy(pins, modules.Dependencies)
	return pins
}
