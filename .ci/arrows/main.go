// Command arrows counts, for each package, the arrows between its files. An arrow goes from a file to each other file
// whose declarations it uses. The files are put into an order, and an arrow against that order is upward. The order is
// the one with the fewest upward arrows that a greedy search finds. A package that can be read from top to bottom has
// none.
//
//	go run ./.ci/arrows [package=most …]
//
// With arguments it fails if a package has more upward arrows than the argument allows.
package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	most := map[string]int{}
	for _, a := range os.Args[1:] {
		name, number, _ := strings.Cut(a, "=")
		n, err := strconv.Atoi(number)
		if err != nil {
			fmt.Fprintln(os.Stderr, "write package=number, not", a)
			os.Exit(2)
		}
		most[name] = n
	}
	failed := false
	fmt.Printf("%-40s %6s %6s %7s %9s %7s\n", "package", "files", "lines", "arrows", "possible", "upward")
	err := filepath.WalkDir(".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if dir != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		p, err := read(dir)
		if err != nil || len(p.files) == 0 {
			return err
		}
		n := len(p.files)
		fmt.Printf("%-40s %6d %6d %7d %9d %7d\n", dir, n, p.lines, p.count(), n*(n-1)/2, p.upward())
		if limit, ok := most[dir]; ok && p.upward() > limit {
			fmt.Printf("%s has %d upward arrows, and at most %d are allowed\n", dir, p.upward(), limit)
			failed = true
		}
		delete(most, dir)
		return nil
	})
	for name := range most {
		err = fmt.Errorf("there is no package %s", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

type pkg struct {
	files []string
	lines int
	uses  map[[2]int]bool // from one file to another
}

// read parses the files of a package, without tests. It ignores methods and fields, because their owners are not known
// without types. A name of the package that a function declares again also counts.
func read(dir string) (*pkg, error) {
	all, err := build.ImportDir(dir, 0)
	if err != nil {
		return &pkg{}, nil //nolint:nilerr // no Go files
	}
	p := &pkg{uses: map[[2]int]bool{}}
	declared := map[string]int{}
	var parsed []*ast.File
	for i, name := range append(all.GoFiles, all.CgoFiles...) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files, p.lines, parsed = append(p.files, name), p.lines+strings.Count(string(text), "\n"), append(parsed, f)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					declared[d.Name.Name] = i
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						declared[s.Name.Name] = i
					case *ast.ValueSpec:
						for _, n := range s.Names {
							declared[n.Name] = i
						}
					}
				}
			}
		}
	}
	for i, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				ast.Inspect(n.X, func(n ast.Node) bool { return p.use(i, n, declared) })
				return false
			default:
				return p.use(i, n, declared)
			}
		})
	}
	return p, nil
}

func (p *pkg) use(from int, n ast.Node, declared map[string]int) bool {
	if id, ok := n.(*ast.Ident); ok {
		if to, ok := declared[id.Name]; ok && to != from {
			p.uses[[2]int{from, to}] = true
		}
	}
	return true
}

// count is the number of pairs of files of which one uses the other.
func (p *pkg) count() int {
	pairs := map[[2]int]bool{}
	for a := range p.uses {
		pairs[[2]int{min(a[0], a[1]), max(a[0], a[1])}] = true
	}
	return len(pairs)
}

// upward orders the files by the heuristic of Eades, Lin and Smyth (1993). Then it moves each file to the position with
// the fewest arrows against the order, and counts the arrows that remain.
func (p *pkg) upward() int {
	var order []int
	left := map[int]bool{}
	for i := range p.files {
		left[i] = true
	}
	for len(left) > 0 {
		best, most := -1, 0
		for i := range p.files {
			if !left[i] {
				continue
			}
			balance := 0 // the files it uses minus the files that use it
			for a := range p.uses {
				if left[a[0]] && left[a[1]] {
					switch i {
					case a[0]:
						balance++
					case a[1]:
						balance--
					}
				}
			}
			if best < 0 || balance > most {
				best, most = i, balance
			}
		}
		order = append(order, best)
		delete(left, best)
	}
	least := p.against(order)
	for better := true; better; {
		better = false
		for i := range order {
			for k := range order {
				moved := slices.Delete(slices.Clone(order), i, i+1)
				moved = slices.Insert(moved, k, order[i])
				if n := p.against(moved); n < least {
					order, least, better = moved, n, true
				}
			}
		}
	}
	return least
}

func (p *pkg) against(order []int) int {
	place := make([]int, len(order))
	for i, f := range order {
		place[f] = i
	}
	n := 0
	for a := range p.uses {
		if place[a[0]] > place[a[1]] {
			n++
		}
	}
	return n
}
