package syntax_test

import (
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/planner/syntax"
)

func ExampleParse() {
	statement, err := syntax.Parse("SELECT sex, COUNT(*) AS n FROM person GROUP BY 1")
	if err != nil {
		panic(err)
	}
	for _, item := range statement.Query.Select.Items {
		fmt.Println(item.Name(), item.Term.At.Column)
	}
	// Output:
	// sex 8
	// n 13
}

// A refusal has a position in the text, and says what to write instead.
func ExampleError() {
	const sql = "SELECT COUNT(*) FORM person"
	_, err := syntax.Parse(sql)
	var refusal *syntax.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Caret(sql))
		fmt.Println(refusal.Hint)
	}
	// Output:
	// SELECT COUNT(*) FORM person
	//                      ^^^^^^
	// FORM before it is read as a name; did you mean FROM?
}
