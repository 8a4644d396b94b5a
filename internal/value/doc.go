// Package value holds one typed SQL value: what a catalog declares, a fragment
// carries as a literal, and a release shows.
//
// A Value is comparable with ==, so it can be a map key. A float is finite or
// NULL: NaN and the infinities do not exist in Intramuros' SQL, because no two
// engines agree on them. For the same reason a date or timestamp is of the years 1
// to 9999, or NULL.
package value
