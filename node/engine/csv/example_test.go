package csv_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/intramuros/intramuros/node/engine/csv"
)

// file writes a file of a hospital.
func file(text string) (path string, remove func()) {
	folder, err := os.MkdirTemp("", "csv")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(folder, "labs.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(folder) }
}

// A line that does not fit is not a record, and is counted.
func ExampleDialect_Count() {
	path, remove := file("id;value\n1;4,5\n2;\n3;4,7;5\n")
	defer remove()
	d, err := (&csv.Settings{Delimiter: ";"}).Dialect()
	if err != nil {
		panic(err)
	}
	head, err := d.Read(path)
	if err != nil {
		panic(err)
	}
	tally, err := d.Count(context.Background(), head)
	if err != nil {
		panic(err)
	}
	fmt.Println(head.Names, tally.Lines, tally.Rows)
	fmt.Println(d.Reasons(&tally))
	// Output:
	// [id value] 3 2
	// 1 have another number of fields than the header
}

// A person must confirm a guess from the beginning of a file.
func ExamplePropose() {
	path, remove := file("id;value;day\n1;4,5;31/01/2024\n2;4,7;01/02/2024\n")
	defer remove()
	p, err := csv.Propose(context.Background(), path, &csv.Settings{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%q %q %s\n", p.Settings.Delimiter, p.Settings.Decimal, p.Settings.DateFormat)
	fmt.Println(p.Kinds)
	// Output:
	// ";" "," dd/mm/yyyy
	// map[day:date id:int value:float]
}
