package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// ErrConfig means that the configuration does not fit the data or the catalog.
var ErrConfig = errors.New("the engine's configuration is wrong")

// minKey is the least length of the secret key in bytes.
const minKey = 16

// Keys derives two keys from the node's secret. One chooses which rows of a patient stay if a join makes too many. The
// other keys the data's version, so that it reveals nothing about the data. An error is ErrConfig.
func Keys(secret []byte) (groups, version [sha256.Size]byte, err error) {
	if len(secret) < minKey {
		return groups, version, fmt.Errorf("%w: the node's key has %d bytes; it needs %d", ErrConfig, len(secret), minKey)
	}
	derive := func(use string) [sha256.Size]byte {
		return sha256.Sum256(append([]byte("intramuros: "+use+"\n"), secret...))
	}
	return derive("choice of groups"), derive("version of data"), nil
}

// Driver is the connection to a database. Its methods may be called from any goroutine.
type Driver interface {
	// Query runs one SELECT, which only reads, and calls fn for each row. A row has nil, bool, int64, float64, string, and
	// time.Time for dates and timestamps. keyed: the SQL has the two halves of the node's secret key as parameters. fn's
	// error ends the query and is returned unchanged. When ctx ends, the query ends at the server within a second. Other
	// errors are a *Fault.
	Query(ctx context.Context, sql string, keyed bool, fn func(row []any) error) error
	// Convert returns the SQL that reads a local column as a type, with NULL for a value that does not convert. fits
	// reports whether every value converts unchanged.
	Convert(l Local, t value.Type) (sql string, fits bool)
}

// Streamer is a Driver whose rows the node can add up itself: see package stream.
type Streamer interface {
	// Stream runs the SELECT of a plan's rows, adds them up, and calls fn for each group, as Query does for each row of
	// the fragment's SQL. guard, if not empty, is a SELECT that tells whether a promise is broken in the snapshot of the
	// rows; then the error is Broken's. If an error is stream.ErrTooMuch, fn was not called. The rest is as in Query.
	Stream(ctx context.Context, guard, rows string, plan *stream.Plan, keyed bool, fn func(row []any) error) error
}

// Engine runs fragments over one hospital's data. It may be used by any number of goroutines.
type Engine struct {
	driver   Driver
	dialect  *compile.Dialect
	catalog  *catalog.Catalog
	hospital string
	views    map[string]*View
	closed   map[string]Closed
	state    func(context.Context) (string, error)
	known    verifiedState
}

// New makes an engine from a connection, from the views of the offered tables and from the closed tables. state names
// the state of the data: in two states of one name, all lasting places have the same rows. It is nil if states have no
// names.
func New(driver Driver, dialect *compile.Dialect, c *catalog.Catalog, hospital string, views []*View, closed []Closed, state func(context.Context) (string, error)) *Engine {
	e := &Engine{driver: driver, dialect: dialect, catalog: c, hospital: hospital, views: map[string]*View{}, closed: map[string]Closed{}, state: state,
		known: verifiedState{turn: make(chan struct{}, 1)}}
	for _, v := range views {
		e.views[v.Table.Name] = v
	}
	for _, t := range closed {
		e.closed[t.Table] = t
	}
	return e
}

// Compile returns, for a custodian, the SQL that Run would run if the data is as the catalog says. If the node adds the
// rows up itself, the text begins with Streamed and has the SQL of the rows and then that of the whole fragment. The
// caveats list what the hospital has less of than the catalog in the tables that it reads. Errors are those of
// compile.Target.
func (e *Engine) Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error) {
	at, err := e.prepare(f, p, e.assumed(f))
	if err != nil {
		return "", nil, err
	}
	if at.plan != nil {
		return Streamed + "\n" + at.rows + ";\n" + instead + "\n" + at.sql, e.caveats(at.read), nil
	}
	return at.sql, e.caveats(at.read), nil
}

// Streamed begins the text of Compile for a fragment whose rows the node adds up.
const Streamed = "-- the node reads these rows, and adds them up itself, patient by patient"

// instead stands before the SQL of the whole of such a fragment.
const instead = "-- where they do not fit into its memory, the database runs this instead, which gives the same integers"

// target describes this database to package compile.
func (e *Engine) target() *compile.Target {
	return &compile.Target{Dialect: e.dialect, Catalog: e.catalog, Hospital: e.hospital, Table: func(t *catalog.Table, columns []string) (string, bool) {
		v, ok := e.views[t.Name]
		if !ok {
			return "", false
		}
		if v.Stored != "" {
			return v.Stored, true
		}
		return "(" + v.Select(e.driver, e.dialect, columns) + ")", true
	}}
}
