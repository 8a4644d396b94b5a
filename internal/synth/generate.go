package synth

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	_ "github.com/duckdb/duckdb-go/v2" // generates in SQL, through database/sql
	"golang.org/x/sync/errgroup"
)

// ErrConfig is wrapped by every error about a Config, or a benchmark's size, that cannot be generated. The message says
// what to change.
var ErrConfig = errors.New("cannot generate this federation")

// MaxPatients is the size of the largest federation: identifiers are 32-bit integers in OMOP, and must suffice for one
// hospital's measurements.
const MaxPatients = 5_000_000

// Config is the federation to generate.
type Config struct {
	// Seed decides every value. Any number is valid, also 0.
	Seed uint64
	// Hospitals are the folder names, in lower-case letters, digits and hyphens, without repetition. Empty means
	// rennes, lyon, lille, bordeaux, marseille. Other names get a profile that is derived from the name.
	Hospitals []string
	// Patients is the number of distinct people in the whole federation, at most MaxPatients. Each has about 40
	// measurements. 0 means 20000.
	Patients int
	// Folder receives <hospital>/<table>.parquet. It is created if it does not exist, and existing tables are replaced.
	Folder string
}

var defaultHospitals = []string{"rennes", "lyon", "lille", "bordeaux", "marseille"}

// profile says how one hospital differs from the others.
type profile struct {
	city, department string
	weight           float64 // relative size
	tilt             float64 // age: 1 is the French pyramid, lower values are older
	bmiShift         float64 // kg/m2 added to the mean
	smoking          float64 // factor on the national share of smokers
	stayFactor       float64 // factor on the length of inpatient stays
	missing          float64 // share of measurements without a value
}

var profiles = map[string]profile{
	"rennes":    {"Rennes", "35", 0.17, 0.90, -0.4, 0.95, 0.92, 0.012},
	"lyon":      {"Lyon", "69", 0.26, 0.85, -0.2, 0.95, 1.00, 0.008},
	"lille":     {"Lille", "59", 0.22, 0.88, 1.4, 1.25, 1.05, 0.020},
	"bordeaux":  {"Bordeaux", "33", 0.16, 0.82, 0.0, 1.00, 0.97, 0.015},
	"marseille": {"Marseille", "13", 0.19, 0.78, 0.5, 1.10, 1.12, 0.030},
}

func profileOf(hospital string) profile {
	if p, ok := profiles[hospital]; ok {
		return p
	}
	h := fnv.New32a()
	h.Write([]byte(hospital))
	u := float64(h.Sum32()%1000) / 1000
	return profile{hospital, "75", 0.15 + 0.1*u, 0.8 + 0.1*u, u - 0.5, 0.9 + 0.3*u, 0.9 + 0.2*u, 0.01 + 0.02*u}
}

var hospitalName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

func (c *Config) check() error {
	if len(c.Hospitals) == 0 {
		c.Hospitals = defaultHospitals
	}
	if c.Patients == 0 {
		c.Patients = 20000
	}
	seen := make(map[string]bool)
	for _, h := range c.Hospitals {
		if !hospitalName.MatchString(h) {
			return fmt.Errorf("%w: the hospital name %q is not of lower-case letters, digits and hyphens, at most 40", ErrConfig, h)
		}
		if seen[h] {
			return fmt.Errorf("%w: the hospital %q is named twice; name each once", ErrConfig, h)
		}
		seen[h] = true
	}
	switch {
	case len(c.Hospitals) > 1000:
		return fmt.Errorf("%w: %d hospitals; at most 1000", ErrConfig, len(c.Hospitals))
	case c.Patients < 0 || c.Patients > MaxPatients:
		return fmt.Errorf("%w: %d patients; give 1 to %d", ErrConfig, c.Patients, MaxPatients)
	case c.Folder == "":
		return fmt.Errorf("%w: no folder to write to", ErrConfig)
	}
	return nil
}

//go:embed sql/*.sql
var queries embed.FS

// query is the text of sql/<name>.sql.
func query(name string) string {
	text, err := queries.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // embedded in the binary, and named by the code here or by omop54.txt
	}
	return string(text)
}

// Generate writes the federation. It calls progress, which may be nil, after each table, with the number of finished
// tables of the hospital and their total. The calls come from one goroutine at a time, and the hospitals are
// interleaved.
//
// An error about the Config wraps ErrConfig; other errors come from the disk or the engine. When ctx ends, Generate
// stops and returns its error. The tables that are finished stay, and none is partly written.
func Generate(ctx context.Context, c Config, progress func(hospital string, done, total int)) error {
	if err := c.check(); err != nil {
		return err
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return fmt.Errorf("starting the embedded DuckDB: %w", err)
	}
	defer db.Close()

	first, err := session(ctx, db, c.Seed, map[string]any{"patients": c.Patients})
	if err != nil {
		return err
	}
	defer first.Close()
	for _, step := range []string{query("macros"), sites(c.Hospitals), query("patient")} {
		if _, err := first.ExecContext(ctx, step); err != nil {
			return stopped(ctx, fmt.Errorf("drawing the patients: %w", err))
		}
	}

	// At the usual size, a hospital's tables are too small for many threads, so hospitals run in parallel.
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var reporting sync.Mutex
	for i, name := range c.Hospitals {
		group.Go(func() error {
			h := hospital{site: i + 1, folder: filepath.Join(c.Folder, name), seed: c.Seed}
			return h.write(ctx, db, func(done, total int) {
				if progress != nil {
					reporting.Lock()
					defer reporting.Unlock()
					progress(name, done, total)
				}
			})
		})
	}
	return group.Wait()
}

// stopped is the context's error if that is why the engine stopped.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// session is a connection with the variables that the queries read.
func session(ctx context.Context, db *sql.DB, seed uint64, variables map[string]any) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, stopped(ctx, fmt.Errorf("connecting to the embedded DuckDB: %w", err))
	}
	statements := []string{fmt.Sprintf("SET VARIABLE seed = %d::UBIGINT", seed)}
	for name, value := range variables {
		if text, ok := value.(string); ok {
			value = quote(text)
		}
		statements = append(statements, fmt.Sprintf("SET VARIABLE %s = %v", name, value))
	}
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			conn.Close()
			return nil, stopped(ctx, fmt.Errorf("%s: %w", s, err))
		}
	}
	return conn, nil
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// sites is the statement that makes the table of hospitals and their profiles. [low, high) is each hospital's part of
// the unit interval.
func sites(hospitals []string) string {
	total := 0.0
	for _, name := range hospitals {
		total += profileOf(name).weight
	}
	var rows []string
	sum := 0.0
	for i, name := range hospitals {
		p := profileOf(name)
		low := sum / total
		sum += p.weight
		high := sum / total
		if i == len(hospitals)-1 {
			high = 1
		}
		rows = append(rows, fmt.Sprintf("(%d, %s, %s, %s, %.17g::DOUBLE, %.17g::DOUBLE, %g::DOUBLE, %g::DOUBLE, %g::DOUBLE, %g::DOUBLE, %g::DOUBLE)",
			i+1, quote(name), quote(p.city), quote(p.department), low, high, p.tilt, p.bmiShift, p.smoking, p.stayFactor, p.missing))
	}
	return "CREATE TABLE site AS SELECT * FROM (VALUES " + strings.Join(rows, ", ") +
		") AS v(site, name, city, department, low, high, tilt, bmi_shift, smoking, stay_factor, missing)"
}

// hospital is one folder that is being written.
type hospital struct {
	site   int // from 1, in the order of the Config
	folder string
	seed   uint64
}

func (h hospital) write(ctx context.Context, db *sql.DB, progress func(done, total int)) error {
	if err := os.MkdirAll(h.folder, 0o755); err != nil {
		return fmt.Errorf("making the hospital's folder: %w", err)
	}
	conn, err := session(ctx, db, h.seed, map[string]any{"site": h.site, "folder": h.folder})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, query("stay")); err != nil {
		return stopped(ctx, fmt.Errorf("drawing the visits for %s: %w", h.folder, err))
	}
	all := tables()
	for i, t := range all {
		text := query(t.name)
		yields, err := columnsOf(ctx, conn, text)
		if err != nil {
			return stopped(ctx, fmt.Errorf("table %s: %w", t.name, err))
		}
		if text, err = t.complete(text, yields); err != nil {
			return err
		}
		if err := export(ctx, conn, text, filepath.Join(h.folder, t.name+".parquet")); err != nil {
			return err
		}
		progress(i+1, len(all))
	}
	_, err = conn.ExecContext(ctx, "DROP TABLE stay")
	return stopped(ctx, err)
}

// columnsOf lists the names of a query's columns.
func columnsOf(ctx context.Context, conn *sql.Conn, text string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, "SELECT * FROM ("+text+") LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}

// export writes a query's rows to a Parquet file. The file gets its name only when it is complete.
func export(ctx context.Context, conn *sql.Conn, text, path string) error {
	partial := path + ".partial"
	defer os.Remove(partial)
	if _, err := conn.ExecContext(ctx, "COPY ("+text+") TO "+quote(partial)+" (FORMAT parquet)"); err != nil {
		return stopped(ctx, fmt.Errorf("writing %s: %w", path, err))
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("finishing the table: %w", err)
	}
	return nil
}
