package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/synth"
)

// startTime is how long the daemons may take until all hospitals are present.
const startTime = 45 * time.Second

func newDemoCommand() *cobra.Command {
	d := demo{hospitals: demoHospitals}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a federation of five synthetic hospitals on this machine, and ask it",
		Long: `Run a whole federation on this machine and take a tour of it: synthetic data for five
French hospitals, a certificate authority, five nodes and a coordinator as processes
of their own, and clinical questions through the same API that researchers use. Each
is shown in plain words, as SQL, and with its answer: intervals, cost, what is left.

On a terminal the federation then stays up, with the address to query, until Ctrl-C;
elsewhere the command ends after the tour. Its folder is removed in either case,
unless --keep names one. All ports are on the loopback interface.

With --catalog it is a federation of that catalog, over dummy data that are made of the
catalog alone (intramuros synth --catalog): a query can be tried there for nothing, as the
real federation would plan, check and answer it, before it spends the study's budget. Its
studies allow an epsilon of 100, at which numbers are all but exact.`,
		Example: `  intramuros demo
  intramuros demo --patients 100000 --keep /tmp/federation
  intramuros demo --catalog icu.yaml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			d.out, d.messages = c.OutOrStdout(), c.ErrOrStderr()
			if d.source != "" && !c.Flags().Changed("patients") {
				d.patients = 1000
			}
			return d.run(ctx, isTerminal(c.InOrStdin()) && isTerminal(c.OutOrStdout()))
		},
	}
	f := c.Flags()
	f.IntVar(&d.patients, "patients", 20_000, "how many different people the hospitals know; with --catalog, 1000")
	f.StringVar(&d.source, "catalog", "", "a federation of this `catalog`, over dummy data: a file, or builtin:omop-5.4")
	f.StringVar(&d.keep, "keep", "", "put everything into this new `folder`, and leave it there")
	f.IntVar(&d.port, "port", 0, "`port` of the coordinator's HTTPS API; without it, a free one")
	return c
}

// demo is one demonstration, from an empty folder until the last process has ended.
type demo struct {
	hospitals []string
	patients  int
	keep      string
	port      int
	source    string           // the user's own catalog; empty: OMOP, with the tour
	catalog   *catalog.Catalog // that catalog

	out, messages io.Writer

	program string // this program, which also runs the daemons
	folder  string
	asking  queryCommand
	// The ports of the coordinator's other doors.
	flightSQL, postgres int
	custodian           string // address of the first hospital's console
	children            []*child
}

// run leaves nothing behind, whatever happens: no process, and no folder unless one is to be kept.
func (d *demo) run(ctx context.Context, stay bool) (err error) {
	if d.port < 0 || d.port > 65535 {
		return usageError{fmt.Errorf("--port: there is no port %d; give 1 to 65535", d.port)}
	}
	if d.program, err = os.Executable(); err != nil {
		return err
	}
	if d.source != "" {
		if d.catalog, err = loadCatalog(d.source); err != nil {
			return err
		}
	}
	if err := d.makeFolder(); err != nil {
		return err
	}
	defer func() {
		if d.keep == "" {
			err = errors.Join(err, os.RemoveAll(d.folder))
		}
	}()
	defer d.stopChildren() // before their folder is removed
	err = d.show(ctx, stay)
	if ctx.Err() != nil { // any other error is a consequence
		if stay {
			return nil
		}
		return errors.New("interrupted")
	}
	return err
}

func (d *demo) makeFolder() (err error) {
	if d.keep == "" {
		d.folder, err = os.MkdirTemp("", "intramuros-demo-")
		return err
	}
	if d.folder, err = filepath.Abs(d.keep); err != nil {
		return err
	}
	if entries, err := os.ReadDir(d.folder); err == nil && len(entries) > 0 {
		return usageError{fmt.Errorf("--keep: %s is not empty; name a new folder", d.folder)}
	}
	return os.MkdirAll(d.folder, 0o700)
}

func (d *demo) show(ctx context.Context, stay bool) error {
	if err := d.generate(ctx); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return d.blame(err)
	}
	visit := d.tour
	if d.catalog != nil {
		visit = d.try
	}
	if err := visit(ctx); err != nil {
		return d.blame(err)
	}
	if d.keep != "" {
		d.printf("\nData, certificates, configuration, ledgers and logs are in %s.\n", d.folder)
	}
	if !stay {
		return nil
	}
	d.invite()
	<-ctx.Done()
	d.printf("\n")
	return nil
}

// printf writes to the user.
func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

func (d *demo) generate(ctx context.Context) error {
	if d.catalog != nil {
		d.printf("Five hospitals with dummy data, %d different people in all, made of the catalog %s alone.\n", d.patients, d.catalog.Name)
		dummy := synth.Dummy{Catalog: d.catalog, Seed: 1, Hospitals: d.hospitals, Patients: d.patients, Out: filepath.Join(d.folder, "data")}
		return generated(dummy.Generate(ctx, progressOfTables(d.messages)))
	}
	d.printf("Five hospitals with synthetic patients, %d different people in all. Nobody here is real.\n", d.patients)
	begun := time.Now()
	conf := synth.Config{Seed: 1, Hospitals: d.hospitals, Patients: d.patients, Folder: filepath.Join(d.folder, "data")}
	if err := generated(synth.Generate(ctx, conf, progressOfTables(d.messages))); err != nil {
		return err
	}
	d.printf("  generated in %.1f s\n", time.Since(begun).Seconds())
	return nil
}

// start starts the daemons and waits until the coordinator sees every hospital.
func (d *demo) start(ctx context.Context) error {
	begun := time.Now()
	if err := d.writeFiles(); err != nil {
		return err
	}
	for _, name := range d.hospitals {
		if err := d.startChild(ctx, "node", name); err != nil {
			return err
		}
	}
	if err := d.startChild(ctx, "coordinator", "coordinator"); err != nil {
		return err
	}
	if err := d.waitForHospitals(ctx); err != nil {
		return err
	}
	d.printf("A node beside each hospital's data, and a coordinator that holds none: %s.\n", strings.Join(d.hospitals, ", "))
	d.printf("  %d processes with certificates of their own, up in %.1f s; %s opens no port, its node dials out\n",
		len(d.children), time.Since(begun).Seconds(), demoOutward)
	return nil
}

// waitForHospitals asks the coordinator until every hospital is present.
func (d *demo) waitForHospitals(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("not all hospitals were there after %v", startTime))
	defer cancel()
	var last error
	for {
		if last = d.missing(ctx); last == nil {
			return nil
		}
		if c := d.ended(); c != nil {
			return fmt.Errorf("%s ended before it was up", c.name)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// invite shows how to ask the running federation. Lines without indentation can be pasted unchanged.
func (d *demo) invite() {
	sql := "SELECT YEAR(death_date) AS year, COUNT(*) AS deaths FROM death WHERE death_date BETWEEN '2019-01-01' AND '2024-12-31' GROUP BY year ORDER BY year"
	count := "SELECT COUNT(*) AS patients FROM person"
	frame := "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1"
	if d.catalog != nil {
		sql = d.first()
		count, frame = sql, sql
	}
	a := d.asking
	ca, token := shellWord(a.ca), shellWord(a.tokenFile)
	d.printf(`
%s
The federation stays up until you press Ctrl-C. Ask it yourself, from another terminal:

%s query --server %s --ca %s --token-file %s --study %s \
  "%s"

curl -s --cacert %s -H "Authorization: Bearer $(cat %s)" -H 'Content-Type: application/json' \
  -d '{"study": "%s", "sql": "%s"}' %s/v1/query

`, rule, shellWord(d.program), a.server, ca, token, a.request.Study, sql, ca, token, a.request.Study, count, a.server)
	d.printf(`PGPASSWORD=$(cat %s) psql "host=localhost port=%d dbname=%s user=%s sslmode=verify-full sslrootcert=%s" \
  -c "SET intervals = columns" -c "%s"

`, token, d.postgres, a.request.Study, demoResearcher, a.ca, sql)
	d.printf(`TOKEN=$(cat %s) python3 -c 'import os, pandas; from adbc_driver_flightsql import dbapi; header = "adbc.flight.sql.rpc.call_header."
conn = dbapi.connect("grpc+tls://localhost:%d", {"username": "%s", "password": os.environ["TOKEN"], header + "study": "%s", header + "intervals": "columns",
  "adbc.flight.sql.client_option.tls_root_certs": open("%s").read()}, autocommit=True)
print(pandas.read_sql("%s", conn))'

`, token, d.flightSQL, demoResearcher, a.request.Study, a.ca, frame)
	d.printf(`  (Python: pip install adbc-driver-flightsql pandas pyarrow)

  in a browser  %s/  (the token is in the token file), and %s
                (the custodian's console of %s; its token is in %s)

  server      %s   (/openapi.json describes its API)
  Flight SQL  localhost:%d   (ADBC, JDBC)
  PostgreSQL  localhost:%d   (psql, R, BI tools; the study is the database, the token the password)
  user, study %s, %s
  token file  %s
  authority   %s
`, a.server, d.custodian, d.hospitals[0], filepath.Join(d.folder, "console.token"), a.server, d.flightSQL, d.postgres, demoResearcher, a.request.Study, a.tokenFile, a.ca)
}

// shellWord quotes a path for a shell if necessary.
func shellWord(path string) string {
	if strings.IndexFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-+@", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
