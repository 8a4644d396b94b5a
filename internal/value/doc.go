// Package value holds one typed SQL value: what a catalog declares, a fragment
// carries as a literal, and a release shows.
//
// A Value is comparable with ==, so it can be a map key. A float is finite or
// NULL: NaN and the infinities do not exist in Intramuros' SQL, because no two
// engines agree on them.
package value
