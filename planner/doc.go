// Package planner turns SQL into a plan. A plan says which fragment every node computes, how an answer follows from the
// partial aggregates, and what it costs. The package is pure: it has no network, no clock and no randomness, so that
// every refusal can be a golden file.
//
// Vocabulary:
//
//   - A query (syntax.Query) is what was written. Its rows are of one kind: constants of the text; rows that belong to
//     one patient each; or a release, which aggregates over patients.
//   - Sources, derived relations, resolvers and scopes belong to package relational. They say which rows are read and
//     to which patients the rows belong.
//   - A partial aggregate is a number that a node computes for a group; a cell is a group with its noisy partials.
//   - A Plan is one release: a fragment, its noise, and how cells become rows. A Program is a query's releases and what
//     is computed from their rows afterwards, at no cost.
//   - A Range is what the catalog and the query tell about a value: its bounds, its domain, and whether it may be NULL.
//
// Pipeline:
//
//	text ─syntax.Parse─> Statement ─Bind─> Query ─classify─> kinds ─rows─> sources, filter, patient
//	     ─keys, outputs─> Fragment ─prove─> sensitivity ─price─> Plan{ Fragment, Noise, Selection, Columns, Loss }
//	cells ─Finish─> Answer
//
// Files, from the text to the answer:
//
//   - program.go describes a query and its releases; compose.go plans them, and ahead.go those that others read;
//     split.go separates a release from what is computed over it; classify.go finds each query's kind once, inner
//     queries first;
//   - package relational plans the rows that a release reads; package scalar builds expressions over one row; once.go
//     counts each key once (COUNT(DISTINCT key));
//   - package rewrite replaces ranks over patients by quantiles; public.go plans queries of public tables, with package
//     lookup;
//   - aggregate.go is the table of aggregates: what a node computes for each, and how a noisy partial becomes a number
//     and an interval; distinct.go, occurring.go, quantile.go and survival.go plan those that read trees, survival.go
//     with package lifetable;
//   - build.go plans one release: keys.go its groups, patients.go how patients are counted, limits.go how many rows a
//     patient counts with, prove.go its proof. release.go prices it, plan.go is the result, and describe.go writes it
//     for people. beyond.go and clamps.go measure what limits and bounds leave out, with package clamp;
//   - answer.go turns noisy partial aggregates into rows; interval.go and means.go give their intervals; finish.go and
//     derived_intervals.go do so for numbers computed from released rows, and expected.go before anything is released;
//   - consistent.go and reconcile.go make numbers agree with each other, with packages overlap (which numbers those
//     are) and estimate.
package planner
