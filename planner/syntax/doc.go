// Package syntax turns SQL text into a tree in which every node has its position. It knows no catalog: names
// have no meaning yet.
//
//	SQL ─scan─> tokens ─Parse─> Statement ─Bind─> Statement without parameters
//
// Vocabulary: a Statement asks for something. A Query is a Select or a SetOperation of two queries, with WITH,
// ORDER BY and LIMIT around it. A Select reads the tables of From and returns its Items. An Expr is what is computed.
// A refusal is an Error: a stable Code, a Position, what is wrong, and what to write instead.
//
//   - scan.go reads the tokens of internal/sqltoken by the SQL standard, and refuses what is none; words.go lists the
//     words that mean something;
//   - parse.go and statement.go begin, query.go, select.go, from.go, grouping.go and window.go read queries, and
//     term.go, predicate.go, pattern.go, row.go, call.go, special.go, cast.go, interval.go, literal.go and clock.go
//     what they compute, by recursive descent. Where databases read a text in two ways, it is refused;
//   - array.go, list.go, pivot.go, ordered.go, quantified.go and fulljoin.go write forms of SQL as others of the same
//     meaning, and dialect.go and spelling.go those of other databases;
//   - precedence.go alone sees sqlparser, whose grammar settles what binds tighter among AND, OR, NOT and among
//     arithmetic. It is handed operators and numbered placeholders only;
//   - tree.go is the tree, and operators.go what makes its operators; internal.go the names that no text writes;
//   - aggregate.go tells by their names which functions aggregate, writes FILTER out, and counts what a SELECT adds up;
//   - walk.go visits and rewrites expressions; bind.go puts values in the place of parameters; names.go resolves
//     numbers and aliases of SELECT's items.
package syntax
