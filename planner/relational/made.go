package relational

import (
	"strconv"
	"strings"
)

// Made is a kind of public tables that planning adds to the catalog: what was released or looked up before it is read.
// Their names hold a blank, which no table of a catalog has, and which no query reads by name.
type Made string

// The kinds of tables that are made.
const (
	Release Made = "release" // what a release shows
	Lookup  Made = "public"  // what a lookup of public tables finds
)

// Table is the name of the n-th table of the kind, from 1.
func (m Made) Table(n int) string { return string(m) + " " + strconv.Itoa(n) }

// Of is which table of the kind a name is, from 1; false: it is another.
func (m Made) Of(table string) (n int, ok bool) {
	number, ok := strings.CutPrefix(table, string(m)+" ")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(number)
	return n, err == nil
}

// IsMade reports whether a table is not of the catalog as it was read.
func IsMade(table string) bool { return strings.Contains(table, " ") }
