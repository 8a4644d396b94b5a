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
)

// ErrConfig means that the configuration does not fit the data or the catalog.
var ErrConfig = errors.New("the engine's configuration is wrong")

// minKey is the least length of the secret key in bytes.
const minKey = 16

// Keys derives two keys of the node's secret: one chooses which groups of a patient are
// kept, the other keys the data's version, so that it tells nothing of the data. An error
// is ErrConfig.
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
	// Query runs one SELECT, which reads and does nothing else, and calls fn for each
	// row: nil, bool, int64, float64, string, and time.Time for dates and timestamps.
	// keyed: the SQL has the two halves of the node's secret key as parameters. fn's
	// error ends the query and comes back as it is; the end of ctx ends it at the
	// server within a second. Other errors are a *Fault.
	Query(ctx context.Context, sql string, keyed bool, fn func(row []any) error) error
	// Convert gives the SQL that reads a local column as a type, NULL where a value
	// does not convert, and whether every value converts as it is.
	Convert(l Local, t value.Type) (sql string, fits bool)
}

// Engine runs fragments over one hospital's data. It may be used by any number of
// goroutines.
type Engine struct {
	driver   Driver
	dialect  *compile.Dialect
	catalog  *catalog.Catalog
	hospital string
	views    map[string]*View
}

// New makes an engine of a connection, and of the views of the tables that are offered.
func New(driver Driver, dialect *compile.Dialect, c *catalog.Catalog, hospital string, views []*View) *Engine {
	e := &Engine{driver, dialect, c, hospital, map[string]*View{}}
	for _, v := range views {
		e.views[v.Table.Name] = v
	}
	return e
}

// Compile returns the SQL that Run would run, for a custodian to read. Errors are
// those of compile.Target.
func (e *Engine) Compile(f *fragment.Fragment, p *fragment.Proof) (string, error) {
	return e.target().Fragment(f, p)
}

// target is this database as SQL is written for it.
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
