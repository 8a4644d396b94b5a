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
	// Compile gives the SQL that Run would execute, and what of the tables that it reads the hospital has less of than
	// the catalog. Both depend on the fragment, the proof, the engine's configuration and the columns of the hospital's
	// tables alone; no data is read, and no secret shown.
	Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error)
	// Run computes the partial aggregates and gives them to send in records of
	// f.Schema(); none for no group. send does not keep a record, and its error ends
	// the run. The run ends soon after ctx does. An error may quote data.
	Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
}

// Data is what an engine computes over.
type Data interface {
	// DataVersion names the state of the data: it differs if the data does, and
	// tells nothing about it.
	DataVersion(ctx context.Context) (string, error)
	// Verify names the tables in which the data contradicts what the proofs of
	// privacy take from the catalog: a key, or one row a patient. Its error, which
	// is logged, means that this could not be found out, and quotes no data.
	Verify(ctx context.Context) (tables []string, err error)
	// Multiplicity tells how many rows of a public table of the catalog agree in the columns, at most; without columns,
	// how many it has.
	Multiplicity(ctx context.Context, table string, columns []string) (float64, error)
}

// Database is an engine, its data, and the engine's name, such as duckdb.
type Database struct {
	Kind   string
	Engine Engine
	Data   Data
	Public Reader // of public tables; nil: none leave
	// Keyless are the tables whose key, as the catalog has it, does not hold here: a query that reads it, or
	// whose proof rests on it, is refused.
	Keyless []string
}
