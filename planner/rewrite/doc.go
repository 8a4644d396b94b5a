// Package rewrite turns a query into another query with the same meaning that the planner can answer. It reads no
// catalog: every rewriting follows from the text alone.
//
//   - ranks.go replaces ranks over patients by quantiles. share.go finds which share of an order a condition on ranks
//     keeps, quantile.go writes aggregates over such a share, tiles.go groups by NTILE(n), and same.go compares terms
//     whose columns may or may not be qualified;
//   - joined.go joins a release afterwards with what the query joins before aggregating: public rows, and the query's
//     own largest groups;
//   - beside.go takes a row of numbers apart from the rows of patients beside it, and writes distinct rows as groups;
//   - grouping_sets.go writes GROUPING SETS, ROLLUP and CUBE as UNION ALL.
package rewrite
