// Package lookup plans what a query reads from public tables. They are read without noise and without cost, alone or
// joined with released rows. A lookup is a relation over public tables that a hospital computes from its copy. The
// computation over releases reads a lookup's rows as it reads those of a release.
//
//   - plan.go finds the relations that read public tables, and replaces each by a lookup;
//   - lookup.go describes a lookup. If the query joins it with released rows, it reads only rows with their values, so
//     that a vocabulary of millions of rows is not transferred.
package lookup
