// Package planner turns SQL into a plan: the fragment that every node computes, how the partial aggregates become an
// answer, and what it costs. It is pure: no network, no clock, no randomness, so that every refusal is a golden file.
//
// Vocabulary:
//
//   - A query (syntax.Query) is what was written. Its rows are of one kind: constants of the text, rows of one patient
//     each, or a release, which aggregates over patients.
//   - A source is a relation that a SELECT reads: a table, or a derived relation, which nodes compute from others.
//   - A resolver gives the names of one SELECT their columns, and its terms their types. A scope holds the names of WITH.
//   - A partial aggregate is a number that a node computes for a group; a cell is a group with its noisy partials.
//   - A Plan is one release: a fragment, its noise, and how cells become rows. A Program is a query's releases, and what
//     is computed from their rows afterwards, at no cost.
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
//   - classify.go tells each query's kind, once, those within first;
//   - source.go, derive.go and subquery.go make relations of FROM, of queries within queries, and of IN and EXISTS;
//     values.go, first.go, once.go and constants.go do so for VALUES, LIMIT, COUNT(DISTINCT key) and queries that read
//     no table; prune.go leaves out what nothing reads;
//   - package scalar builds expressions of terms whose columns are known;
//   - aggregate.go is one table: for each aggregate what a node computes, how sensitive it is, how a noisy partial
//     becomes a number and an interval; distinct.go, quantile.go and survival.go plan those that read trees of counts;
//   - build.go plans one release, release.go prices it, plan.go is the result, describe.go writes it for people;
//   - parts.go reads tables that a catalog divides by whose their rows are;
//   - package rewrite puts quantiles in the place of ranks over patients; public.go plans what is read of public tables;
//   - program.go splits what aggregates aggregates into several releases; computed.go gives what is computed from
//     their numbers an interval;
//   - consistent.go and reconcile.go make numbers fit each other, by package estimate;
//   - answer.go and means.go turn noisy partial aggregates into rows: arithmetic, HAVING, ORDER BY, LIMIT, intervals.
package planner
