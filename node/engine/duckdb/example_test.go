package duckdb_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/duckdb"
)

// folder is a hospital's files.
func folder() (path string, remove func()) {
	path, err := os.MkdirTemp("", "hospital")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(path, "person.csv"), []byte("id,age\n1,41\n2,\n2,70\n"), 0o600); err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(path) }
}

// Describe lists what files contain, as a start for a catalog.
func ExampleDescribe() {
	path, remove := folder()
	defer remove()
	tables, err := duckdb.Describe(context.Background(), duckdb.Config{Folder: path})
	if err != nil {
		panic(err)
	}
	for _, t := range tables {
		for _, c := range t.Columns {
			fmt.Println(filepath.Base(t.Name), c.Name, c.Type)
		}
	}
	// Output:
	// person.csv id int
	// person.csv age int
}

// An engine finds differences between data and catalog. Here two rows have the same key.
func ExampleEngine() {
	path, remove := folder()
	defer remove()
	c, err := catalog.Parse([]byte(`
catalog: example
tables:
  person:
    key: id
    patient: id
    columns:
      id: {type: int, nullable: false}
      age: {type: int}
`), "example.yaml")
	if err != nil {
		panic(err)
	}
	e, err := duckdb.Open(context.Background(), duckdb.Config{Folder: path}, c, "lille", []byte("a secret of the node"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = e.Close() }()
	findings, err := e.Verify(context.Background())
	if err != nil {
		panic(err)
	}
	for _, f := range findings {
		fmt.Println(f.Severity, f.Table, f.Text)
	}
	// Output: error person the key id has values that are in several rows, where it must identify one
}
