package coordinator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// TestProtocols checks that the table of protocols has every code of this package and of the planner, and no other.
func TestProtocols(t *testing.T) {
	known := map[Code]bool{}
	for _, file := range []string{"error.go", "../planner/syntax/error.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(v.Names[0].Name, "Code") || len(v.Values) != 1 {
				return true
			}
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			known[Code(code)] = true
			p, ok := protocols[Code(code)]
			if !ok || p.HTTP < 400 || p.HTTP > 599 || p.GRPC == 0 || len(p.SQLState) != 5 {
				t.Errorf("%s is %+v in the doors' protocols", code, p)
			}
			return true
		})
	}
	if len(known) < 30 {
		t.Errorf("%d codes", len(known))
	}
	for code := range protocols {
		if !known[code] {
			t.Errorf("%s is no code", code)
		}
	}
}
