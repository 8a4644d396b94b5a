package node

import (
	"context"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/fragment"
)

// Engine computes fragments over the hospital's data; node/engine has them. Its
// methods may be called from any goroutine.
type Engine interface {
	// Compile gives the SQL that Run would execute, and the caveats: where the hospital has less than the catalog says.
	// Both depend only on the fragment, the proof, the engine's configuration and the columns of the hospital's tables. No
	// data is read, and no secret is shown.
	Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error)
	// Run computes the partial aggregates and gives them to send in records of f.Schema(); without a group it sends none.
	// send does not keep a record, and its error ends the run. The run ends soon after ctx does. An error may quote data.
	Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
}

// Data is what an engine computes over.
type Data interface {
	// DataVersion names the state of the data. It changes when the data changes, and tells nothing else about it.
	DataVersion(ctx context.Context) (string, error)
	// Verify names the tables whose data contradicts what the proofs of privacy take from the catalog: a key, or one row a
	// patient. An error means that this could not be found out. It is logged, and quotes no data.
	Verify(ctx context.Context) (tables []string, err error)
	// Multiplicity gives the largest number of rows of a public table of the catalog that agree in the columns. Without
	// columns it is the number of rows.
	Multiplicity(ctx context.Context, table string, columns []string) (float64, error)
}

// Database is an engine, its data, and the engine's name, such as duckdb.
type Database struct {
	Kind   string
	Engine Engine
	Data   Data
	Public Reader // of public tables; nil: none leave
	// Keyless are the tables whose catalog key does not hold here. A query that reads the key, or whose proof rests on it,
	// is refused.
	Keyless []string
}
