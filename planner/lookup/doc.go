// Package lookup plans what a query reads of public tables. They are read as they are, at no price: alone, or joined
// with what was released. A query then has lookups, relations over public tables that hospitals compute over their
// copies, and what is computed from releases reads the rows of each as it reads a release's.
//
//   - plan.go finds the relations that read public tables, and puts a lookup in the place of each;
//   - lookup.go is one of them. Where the query joins it with what was released, it is narrowed to these values, so
//     that a vocabulary of millions of rows stays where it is.
package lookup
