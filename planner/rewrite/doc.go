// Package rewrite writes a query as another query of the same meaning, which the planner can answer. It reads no
// catalog: each rewriting is told by the text alone.
//
//   - ranks.go puts quantiles in the place of ranks over patients. share.go tells which share of an order a condition
//     on ranks keeps, quantile.go writes aggregates over such a share, tiles.go groups by NTILE(n), and same.go
//     compares terms whose columns may or may not be qualified;
//   - joined.go joins afterwards what a release is joined with: public rows before it, and its own largest groups;
//   - grouping_sets.go writes GROUPING SETS, ROLLUP and CUBE as UNION ALL.
package rewrite
