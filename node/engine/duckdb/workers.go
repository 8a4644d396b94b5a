package duckdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// RoleName is the name under which a program registers Role in worker.Main.
const RoleName = "duckdb"

// Role is the job of a worker process: DuckDB over the hospital's data.
var Role = worker.Serve(serve)

// request is one SELECT, or one statement of a setup.
type request struct {
	SQL  string
	Keys []uint64 // its parameters group_key_1 and group_key_2; none where it has none
	// Plan: the SELECT's rows are added up by this plan, and the answer is the groups.
	Plan *stream.Plan
	// Execute: the statement belongs to the setup. A worker whose setup is final refuses it.
	Execute bool
}

// reply is a part of the answer: rows, or none. The last part is Whole or has a Failure.
type reply struct {
	Rows    *rows
	Whole   bool
	Failure *failure
}

// failure is an error on its way from a worker.
type failure struct {
	Database bool // it is of DuckDB: of this type
	Type     duckdb.ErrorType
	NoSelect bool // it is errNotSelect
	TooMuch  bool // it is stream.ErrTooMuch
	Text     string
}

func failureOf(err error) *failure {
	f := &failure{Text: err.Error(), NoSelect: errors.Is(err, errNotSelect), TooMuch: errors.Is(err, stream.ErrTooMuch)}
	var cause *duckdb.Error
	if errors.As(err, &cause) {
		f.Database, f.Type, f.Text = true, cause.Type, cause.Msg
	}
	return f
}

func (f *failure) err() error {
	switch {
	case f.NoSelect:
		return errNotSelect
	case f.TooMuch:
		return stream.ErrTooMuch
	case f.Database:
		return &duckdb.Error{Type: f.Type, Msg: f.Text}
	}
	return errors.New(f.Text)
}

// server answers requests in a worker.
type server struct {
	*database
	final bool
}

func serve(ctx context.Context, s setup) (worker.Server[request, reply], error) {
	if err := s.spillInto(); err != nil {
		return nil, err
	}
	db, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return server{db, s.Final}, nil
}

// errLacking reports that a worker lacks a view.
var errLacking = errors.New("a view could not be made")

// Answer implements worker.Server.
func (s server) Answer(ctx context.Context, q request, send func(reply) error) error {
	var lost error
	batch := &rows{}
	flush := func() error {
		if batch.N > 0 {
			lost = send(reply{Rows: batch})
			batch = &rows{}
		}
		return lost
	}
	if q.Execute {
		err := errNotSelect
		if !s.final {
			_, err = s.ExecContext(ctx, q.SQL)
		}
		if err != nil {
			return send(reply{Failure: failureOf(err)})
		}
		return send(reply{Whole: true})
	}
	err := s.answer(ctx, q, func(row []any) error {
		if err := batch.add(row); err != nil {
			return err
		}
		if batch.full() {
			return flush()
		}
		return nil
	})
	last := reply{Rows: batch, Whole: true} // together: a message wakes two processes
	if batch.N == 0 {
		last.Rows = nil
	}
	switch {
	case lost != nil:
		return lost
	case err == nil && s.part:
		return errors.Join(send(last), errLacking)
	case err == nil:
		return send(last)
	}
	f := failureOf(err)
	if lost = send(reply{Failure: f}); lost != nil {
		return lost
	}
	// After these errors DuckDB refuses all further statements.
	if s.part || f.Database && (f.Type == duckdb.ErrorTypeFatal || f.Type == duckdb.ErrorTypeInternal) {
		return err
	}
	return nil
}

// errPart reports that a worker ended in the middle of an answer.
var errPart = errors.New("a worker's answer is not whole")

// lookApart runs one SELECT in a worker.
func (d *driver) lookApart(ctx context.Context, q request, fn func(row []any) error) error {
	failed := errPart
	err := d.workers.Do(ctx, q, func(r reply) error {
		switch {
		case r.Failure != nil:
			failed = r.Failure.err()
		case r.Whole:
			failed = nil
		}
		if r.Rows != nil {
			return r.Rows.each(fn)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return failed
}

// killed returns the error of a statement whose worker ended before it answered.
func killed(ended *worker.Ended) error {
	text := map[worker.Reason]string{
		worker.Memory:    "took more memory than process_memory, and was ended with its process: raise memory_limit and process_memory",
		worker.Deadline:  "had not ended when its time was over, heeded no interrupt, and was ended with its process",
		worker.Cancelled: "was cancelled, heeded no interrupt, and was ended with its process",
		worker.Lost:      "lost its process twice: somebody killed it, the machine's memory ran out, or DuckDB crashed",
	}[ended.Reason]
	return engine.NewKilled(engine.Reason(ended.Reason), "a statement "+text, ended)
}

// Workers says in which processes an engine runs.
type Workers struct {
	// Most is the number of statements that run at once, each in its own process with an equal part of the memory.
	Most int
	Log  *slog.Logger
}

// Start is Open with DuckDB in processes of its own. A process is killed and replaced if it takes too much memory or
// its statement ignores an interrupt. The program must have called worker.Main with Role.
func Start(ctx context.Context, cfg Config, w Workers, c *catalog.Catalog, hospital string, key []byte) (*Engine, error) {
	e, err := newEngine(cfg, c, key)
	if err != nil {
		return nil, err
	}
	s, err := cfg.setup()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	s.Spill = cfg.SpillFolder
	if err := sweepSpilled(s.Spill); err != nil {
		return nil, fmt.Errorf("%w: spill_folder: %w", engine.ErrConfig, err)
	}
	processes := worker.Config{Role: RoleName, Most: 1, Log: w.Log, Gone: func(pid int) {
		if s.Spill != "" {
			_ = os.RemoveAll(spillFolder(s.Spill, pid)) // what stays is removed at the next start
		}
	}}
	// A worker that is not locked yet finds the sources. The workers that answer are set up with these.
	if e.driver.workers, err = begin(ctx, processes, s); err != nil {
		return nil, err
	}
	err = e.attach(ctx, cfg)
	total := int64(0)
	if err == nil {
		total, err = e.driver.memoryLimit(ctx)
	}
	e.driver.workers.Close()
	if err != nil {
		return nil, err
	}
	processes.Most = max(1, w.Most)
	each := total / int64(processes.Most)
	if processes.Memory, err = cfg.processMemory(each); err != nil {
		return nil, err
	}
	s.Statements, s.Final = append(s.Statements, e.driver.done...), true
	s.Attached = e.attached
	options, err := url.ParseQuery(s.Options)
	if err != nil {
		return nil, err
	}
	s.Room = max(leastRoom, min(each, processes.Memory-each)/2)
	options.Set("memory_limit", strconv.FormatInt(each>>10, 10)+"KiB")
	s.Options = options.Encode()
	if e.driver.workers, err = begin(ctx, processes, s); err != nil {
		return nil, err
	}
	e.Engine = engine.New(e.driver, compile.DuckDB, c, hospital, e.views, e.closed, e.state)
	return e, nil
}

// Restarts returns how many processes of this engine ended for a reason and were replaced; 0 without processes.
func (e *Engine) Restarts(why worker.Reason) uint64 {
	if e.driver.workers == nil {
		return 0
	}
	return e.driver.workers.Restarts(why)
}

func begin(ctx context.Context, c worker.Config, s setup) (*workers, error) {
	p, err := worker.Open[setup, request, reply](ctx, c, s)
	var refused *worker.Refused
	if errors.As(err, &refused) {
		err = fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	return p, err
}

// workers are the processes of an engine.
type workers = worker.Pool[setup, request, reply]

// memoryLimit returns DuckDB's memory limit in bytes, from the configuration or its default.
func (d *driver) memoryLimit(ctx context.Context) (n int64, err error) {
	err = d.look(ctx, "SELECT current_setting('memory_limit')", nil, func(row []any) error {
		text, _ := row[0].(string)
		var ok bool
		if n, ok = config.ParseSize(text); !ok {
			return fmt.Errorf("%w: memory_limit: DuckDB calls it %q", engine.ErrConfig, text)
		}
		return nil
	})
	return n, err
}

// besideLimit is the memory of a process beyond DuckDB's memory_limit, which does not count everything. process_memory
// overrides it.
const besideLimit = 1 << 30

// leastRoom is the least memory for rows that are added up outside of DuckDB, in bytes.
const leastRoom = 64 << 20

// processMemory returns the limit of a process whose DuckDB has the given limit, in bytes.
func (c *Config) processMemory(limit int64) (int64, error) {
	if c.ProcessMemory == "" {
		return limit + besideLimit, nil
	}
	n, _ := config.ParseSize(c.ProcessMemory) // validate has read it
	if n < limit {
		return 0, fmt.Errorf("%w: process_memory is %q, less than one query's part of memory_limit, which is %d MB", engine.ErrConfig, c.ProcessMemory, limit/1e6)
	}
	return n, nil
}

// sweepSpilled removes spilled files of workers that were killed together with their node.
func sweepSpilled(folder string) error {
	if folder == "" {
		return nil
	}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		number, ours := strings.CutPrefix(entry.Name(), spillPrefix)
		pid, err := strconv.Atoi(number)
		if !ours || err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := os.RemoveAll(spillFolder(folder, pid)); err != nil {
			return err
		}
	}
	return nil
}
