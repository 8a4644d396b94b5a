package dictionary

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/worker"
)

// RoleName is the name under which a program registers Role in worker.Main.
const RoleName = "dictionary"

// Role is the job of a worker process: DuckDB over a catalog.
var Role = worker.Serve(serve)

// processes is the number of questions that are answered at once. Others wait. Each process has one core at most.
const processes = 4

// Memory is the default memory limit of a process, in bytes. DuckDB may use 128 MB of it. The rest is for what DuckDB
// does not count, such as preparing a statement.
const Memory = 256 << 20

// batchRows is the number of rows in a message.
const batchRows = 1000

// setup is the catalog for a worker, as YAML.
type setup struct{ Catalog string }

// request is a statement for a worker.
type request struct {
	Statement rewritten
	Args      []cell // Statement's, which gob could not carry
}

// reply is a part of the answer. The last part is Whole or has a Failure.
type reply struct {
	Result  result // without Rows
	Rows    [][]cell
	Whole   bool
	Failure string
}

// cell is a value that may be NULL, or a list. gob carries these only within a struct.
type cell struct{ V any }

// register registers with gob the types that a cell can have and gob does not know.
func register() {
	gob.Register(time.Time{})
	gob.Register([]cell(nil))
}

// cellOf converts a value of DuckDB's driver. A value that is neither a number, a text nor a time becomes a text, as it
// is sent to clients.
func cellOf(v any) cell {
	switch v := v.(type) {
	case []any:
		list := make([]cell, len(v))
		for i, x := range v {
			list[i] = cellOf(x)
		}
		return cell{list}
	case nil, bool, int8, int16, int32, int64, int, uint8, uint16, uint32, uint64, float32, float64, string, time.Time:
		return cell{v}
	case duckdb.Decimal:
		return cell{v.Float64()}
	case *big.Int:
		if v.IsInt64() {
			return cell{v.Int64()}
		}
	}
	return cell{fmt.Sprint(v)}
}

func (c cell) value() any {
	list, ok := c.V.([]cell)
	if !ok {
		return c.V
	}
	values := make([]any, len(list))
	for i, x := range list {
		values[i] = x.value()
	}
	return values
}

func cellsOf(row []any) []cell {
	cells := make([]cell, len(row))
	for i, v := range row {
		cells[i] = cellOf(v)
	}
	return cells
}

func valuesOf(cells []cell) []any {
	values := make([]any, len(cells))
	for i, c := range cells {
		values[i] = c.value()
	}
	return values
}

// server answers in a worker.
type server struct{ inProcess }

func serve(ctx context.Context, s setup) (worker.Server[request, reply], error) {
	register()
	c, err := catalog.Parse([]byte(s.Catalog), "catalog")
	if err != nil {
		return nil, err
	}
	h, err := openInProcess(ctx, c)
	return server{h}, err
}

// Answer implements worker.Server.
func (s server) Answer(ctx context.Context, q request, send func(reply) error) error {
	q.Statement.Args = valuesOf(q.Args)
	t, err := s.ask(ctx, q.Statement)
	if err != nil {
		var cause *duckdb.Error
		broken := errors.As(err, &cause) && (cause.Type == duckdb.ErrorTypeFatal || cause.Type == duckdb.ErrorTypeInternal)
		line, _, _ := strings.Cut(err.Error(), "\n")
		if lost := send(reply{Failure: line}); lost != nil || !broken {
			return lost
		}
		return err // after it DuckDB refuses all that follows
	}
	for len(t.Rows) > 0 {
		n := min(batchRows, len(t.Rows))
		var part reply
		for _, row := range t.Rows[:n] {
			part.Rows = append(part.Rows, cellsOf(row))
		}
		if err := send(part); err != nil {
			return err
		}
		t.Rows = t.Rows[n:]
	}
	return send(reply{Result: *t, Whole: true})
}

// inWorkers is a database in workers.
type inWorkers struct {
	*worker.Pool[setup, request, reply]
	seats *workerSlots
}

// Start is Open with the database in worker processes, each limited to memory bytes. A process that takes more, or does
// not end in time, is killed and replaced, and its question fails with ErrNotCovered. The program must have called
// worker.Main with Role.
func Start(ctx context.Context, c *catalog.Catalog, memory int64, log *slog.Logger) (*Dictionary, error) {
	register()
	var text strings.Builder
	if err := c.WriteYAML(&text); err != nil {
		return nil, err
	}
	p, err := worker.Open[setup, request, reply](ctx, worker.Config{Role: RoleName, Most: processes, Memory: memory, Log: log}, setup{text.String()})
	if err != nil {
		return nil, err
	}
	return &Dictionary{number(c), inWorkers{p, &workerSlots{held: map[string]*share{}}}}, nil
}

// Restarts returns how many processes ended for a reason and were replaced; 0 without processes.
func (d *Dictionary) Restarts(why worker.Reason) uint64 {
	if a, ok := d.host.(inWorkers); ok {
		return a.Pool.Restarts(why)
	}
	return 0
}

func (a inWorkers) close() error {
	a.Close()
	return nil
}

// ask implements host.
func (a inWorkers) ask(ctx context.Context, q rewritten) (*result, error) {
	give, err := a.seats.take(ctx, q.Person)
	if err != nil {
		return nil, err
	}
	defer give()
	r := request{Statement: q, Args: cellsOf(q.Args)}
	r.Statement.Args = nil
	var t result
	failure := "it was not answered; ask again"
	var rows [][]any
	err = a.Do(ctx, r, func(part reply) error {
		for _, row := range part.Rows {
			rows = append(rows, valuesOf(row))
		}
		failure = part.Failure
		if part.Whole {
			t = part.Result
		} else if failure == "" {
			failure = "its answer is not whole; ask again"
		}
		return nil
	})
	var ended *worker.Ended
	switch {
	case errors.As(err, &ended) && ended.Reason == worker.Memory:
		return nil, errors.New("it takes more memory than a question about the catalog may; ask for less at once")
	case errors.As(err, &ended) && ended.Reason == worker.Lost:
		return nil, errors.New("the database that answers questions about the catalog went away; ask again")
	case err != nil:
		return nil, err
	case failure != "":
		return nil, errors.New(failure)
	}
	t.Rows = rows
	return &t, nil
}
