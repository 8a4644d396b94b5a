// Package planner turns SQL into a plan: the fragment that every node computes,
// how the partial aggregates become an answer, and what it costs. It is pure: no
// network, no clock, no randomness, so that every refusal is a golden file.
//
//		SQL ─scan─> tokens ─parse─> syntax ─resolve, type, bound─> Plan{ Fragment, Noise, Selection, outputs, Loss }
//
//	  - scan.go reads tokens with their positions, by the SQL standard;
//	  - parse.go, statement.go, query.go, from.go, term.go, special.go and call.go read tokens by
//	    recursive descent into the syntax tree (syntax.go), every node with its position; they
//	    refuse what databases read in two ways;
//	  - precedence.go alone sees sqlparser, whose grammar settles what binds tighter among AND,
//	    OR, NOT and among arithmetic; it is handed operators and numbered placeholders only;
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
