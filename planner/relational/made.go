package relational

import (
	"strconv"
	"strings"
)

// Made is a kind of public table that planning adds to the catalog to read what was released or looked up. Such a name
// contains a blank. No table of a catalog has one, and no query can name it.
type Made string

// The kinds of added tables.
const (
	Release Made = "release" // the rows of a release
	Lookup  Made = "public"  // the rows of a lookup of public tables
)

// Table is the name of the n-th table of this kind, from 1.
func (m Made) Table(n int) string { return string(m) + " " + strconv.Itoa(n) }

// Of returns the number of a table of this kind, from 1; false for another table.
func (m Made) Of(table string) (n int, ok bool) {
	number, ok := strings.CutPrefix(table, string(m)+" ")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(number)
	return n, err == nil
}

// IsMade reports whether planning added the table.
func IsMade(table string) bool { return strings.Contains(table, " ") }
