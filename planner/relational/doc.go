// Package relational plans relations of rows before anything is released: what a SELECT reads, by which names, and
// whose the rows are. It makes fragment.Query of queries within queries, so that a node computes them from its tables.
// It prices nothing, and knows no noise.
//
// Vocabulary:
//
//   - A Vocabulary is the catalog as one statement reads it. A Scope holds the queries that WITH names.
//   - A Source is a relation that FROM reads: a table, or a Derived relation, which is planned from a query.
//   - A Resolver holds the sources of one SELECT and its filter. It gives names their columns, and terms their types.
//   - The patient of a Resolver is the column of the patient's id. Its rows are each of one patient, or all public.
//   - A Composer plans the queries within as releases. What was released is public, so its rows are read as a public
//     table's are.
//
// Contract: what Derive returns has passed fragment.Query.Table, as each node will check it. Where a query reads
// patients, each row of it is of one patient, whose id the relation holds, shown or not. Rows of two patients are never
// combined: a join, a subquery or a set operation that would is refused (CodePatientsMixed), with what to write
// instead. Equal queries make equal relations, whatever they call their tables. All refusals are a *syntax.Error, by
// syntax.Refuse: a caller catches them by syntax.Catch.
//
//	syntax.Query ─Derive─> Read(FROM, WHERE) ─LinkByForeignKeys─> group, window, project ─> Derived
//
// Files, from the names to the relation:
//
//   - scope.go has the names of WITH, public.go tells what reads public tables alone, and made.go names the tables
//     that planning adds; resolver.go reads the rows of one SELECT, source.go what FROM names, parts.go tables that a
//     catalog divides; names.go gives names their columns, and constants.go those of queries that read no table;
//   - patient.go tells whose the rows are, by the keys of the catalog; rowlimit.go how many rows a patient may have;
//   - derive.go makes relations of queries: setop.go, group.go, window.go, values.go and first.go (LIMIT) do so for
//     parts of SQL, ordered.go writes aggregates in an order as others of numbered rows, project.go makes the columns,
//     order.go reads ORDER BY; prune.go leaves out what nothing reads;
//   - subquery.go, scalar_subquery.go and lateral.go join correlated queries; regroup.go puts a relation between rows
//     and what reads them.
package relational
