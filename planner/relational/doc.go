// Package relational plans relations of rows before anything is released: which rows a SELECT reads, under which names,
// and to which patients they belong. It turns inner queries into fragment.Query, so that a node computes them from its
// tables. It knows no prices and no noise.
//
// Vocabulary:
//
//   - A Vocabulary is the catalog as one statement reads it. A Scope holds the queries that WITH names.
//   - A Source is a relation in FROM: a table, or a Derived relation, which is planned from a query.
//   - A Resolver holds the sources of one SELECT and its filter. It resolves names to columns and gives terms their
//     types.
//   - The patient of a Resolver is the column of the patient's id. Each row belongs to one patient, or all rows are
//     public.
//   - A Composer plans inner queries as releases. Released rows are public, so they are read like a public table.
//
// Contract: whatever Derive returns has passed fragment.Query.Table, the check of each node. If a query reads patients,
// each of its rows belongs to one patient, and the relation holds the patient's id, shown or not. Rows of two patients
// are never combined. A join, subquery or set operation that would combine them is refused (CodePatientsMixed), and the
// hint says what to write instead. Equal queries give equal relations, whatever names they use. Every refusal is a
// *syntax.Error from syntax.Refuse; a caller uses syntax.Catch.
//
//	syntax.Query ─Derive─> Read(FROM, WHERE) ─LinkByForeignKeys─> group, window, project ─> Derived
//
// Files, from the names to the relation:
//
//   - scope.go has the names of WITH; public.go finds queries that read only public tables; made.go names the tables
//     that planning adds; resolver.go reads the rows of one SELECT, source.go what FROM names, parts.go tables that a
//     catalog divides; names.go resolves names to columns, and constants.go names of queries that read no table;
//   - patient.go finds the patient of the rows, by the catalog's keys; rowlimit.go bounds the rows of one patient;
//   - derive.go turns queries into relations. setop.go, group.go, window.go, values.go and first.go (LIMIT) do so for
//     parts of SQL; ordered.go rewrites ordered aggregates over numbered rows, moments.go standard deviations as sums;
//     project.go builds the columns, order.go reads ORDER BY; prune.go removes what nothing reads;
//   - subquery.go, scalar_subquery.go and lateral.go join correlated queries; regroup.go puts a relation between rows
//     and their reader.
package relational
