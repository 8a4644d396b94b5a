package node

import (
	"context"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/fragment"
)

// Engine computes fragments over the hospital's data; package engine implements it. Its methods may be called from any
// goroutine.
type Engine interface {
	// Compile returns the SQL that Run would execute, and the caveats: where the hospital has less than the catalog says.
	// Both depend only on the fragment, the proof, the engine's configuration and the columns of the hospital's tables. It
	// reads no data and shows no secret.
	Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error)
	// Run computes the partial aggregates and passes them to send in records of f.Schema(). If there are no groups, it
	// sends nothing. send must not keep a record; its error ends the run. The run ends soon after ctx does. An error may
	// quote data.
	Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
}

// Data is the data that an engine computes over.
type Data interface {
	// DataVersion names the state of the data. It changes when the data changes, and reveals nothing else.
	DataVersion(ctx context.Context) (string, error)
	// Verify names the tables whose data contradicts a statement of the catalog that proofs use: a key, or one row per
	// patient. An error means that this could not be determined. It is logged and quotes no data.
	Verify(ctx context.Context) (tables []string, err error)
	// Multiplicity returns the largest number of rows of a public table that agree in the columns. Without columns it is
	// the number of rows.
	Multiplicity(ctx context.Context, table string, columns []string) (float64, error)
}

// Database is an engine, its data, and the engine's name, such as duckdb.
type Database struct {
	Kind   string
	Engine Engine
	Data   Data
	Public Reader // of public tables; nil: none may leave
	// Keyless are the tables whose catalog key does not hold here. A query that reads the key, or whose proof rests on it,
	// is refused.
	Keyless []string
}
