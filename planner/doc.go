// Package planner turns SQL into a plan: the fragment that every node computes, how the partial aggregates become an
// answer, and what it costs. It is pure: no network, no clock, no randomness, so that every refusal is a golden file.
//
// Vocabulary:
//
//   - A query (syntax.Query) is what was written. Its rows are of one kind: constants of the text, rows of one patient
//     each, or a release, which aggregates over patients.
//   - Sources, derived relations, resolvers and scopes are package relational's: which rows are read, and whose they
//     are.
//   - A partial aggregate is a number that a node computes for a group; a cell is a group with its noisy partials.
//   - A Plan is one release: a fragment, its noise, and how cells become rows. A Program is a query's releases, and
//     what is computed from their rows afterwards, at no cost.
//   - A Range is what the catalog and the query tell of a value: bounds, domain, whether it may be NULL.
//
// Pipeline:
//
//	text ─syntax.Parse─> Statement ─Bind─> Query ─classify─> kinds ─rows─> sources, filter, patient
//	     ─keys, outputs─> Fragment ─prove─> sensitivity ─price─> Plan{ Fragment, Noise, Selection, Columns, Loss }
//	cells ─Finish─> Answer
//
// Files, from the text to the answer:
//
//   - program.go is a query and its releases; compose.go plans them, split.go divides what aggregates aggregates,
//     classify.go tells each query's kind, once, those within first;
//   - package relational plans the rows that a release reads, and package scalar builds expressions over one row;
//     once.go counts each key once (COUNT(DISTINCT key));
//   - package rewrite puts quantiles in the place of ranks over patients; public.go plans queries of public tables,
//     by package lookup;
//   - aggregate.go is one table: for each aggregate what a node computes, how sensitive it is, how a noisy partial
//     becomes a number and an interval; distinct.go, occurring.go, quantile.go and survival.go plan those that read
//     trees, survival.go by package lifetable;
//   - build.go plans one release: keys.go its groups, patients.go how patients are counted, limits.go how many rows a
//     patient counts with, prove.go its proof; release.go prices it, plan.go is the result, describe.go writes it for
//     people; beyond.go and clamps.go measure what limits and bounds leave out, by package clamp;
//   - answer.go turns noisy partial aggregates into rows; interval.go and means.go give their intervals; finish.go and
//     computed.go do so for what is computed from released rows, and expected.go before anything is released;
//   - consistent.go and reconcile.go make numbers fit each other, by packages overlap (which numbers those are) and
//     estimate.
package planner
