// Package planner turns SQL into a plan: the fragment that every node computes,
// how the partial aggregates become an answer, and what it costs. It is pure: no
// network, no clock, no randomness, so that every refusal is a golden file.
//
//		SQL ─syntax─> tree ─resolve, type, bound─> Plan{ Fragment, Noise, Selection, outputs, Loss }
//
//	  - package syntax reads the text into a tree, every node with its position;
//	  - classify.go tells of each query, once, whether its rows are constants, rows of patients, or a release;
//	  - resolve.go gives names their columns and expressions their types;
//	  - source.go, derive.go and subquery.go make relations of FROM, of queries within
//	    queries, and of IN and EXISTS; values.go, first.go, once.go and constants.go put VALUES, LIMIT,
//	    COUNT(DISTINCT key) and queries that read no table into such relations;
//	  - aggregate.go is one table: for each aggregate what a node computes, how
//	    sensitive it is, how a noisy partial becomes a number and an interval;
//	  - plan.go puts the plan together; answer.go turns noisy partial aggregates
//	    into rows: arithmetic, HAVING, ORDER BY, LIMIT, intervals;
//	  - program.go splits what aggregates aggregates into several releases; computed.go gives
//	    what is computed from their numbers an interval.
package planner
