// Package syntax turns SQL text into a tree in which every node has its position. It knows no catalog: names are not
// resolved yet.
//
//	SQL ─scan─> tokens ─Parse─> Statement ─Bind─> Statement without parameters
//
// Vocabulary: a Statement asks for something. A Query is a Select or a SetOperation of two queries, with WITH,
// ORDER BY and LIMIT around it. A Select reads the tables of From and returns its Items. An Expr is what is computed.
// A refusal is an Error: a stable Code, a Position, what is wrong, and what to write instead.
//
//   - scan.go reads the tokens of internal/sqltoken by the SQL standard and refuses anything else; words.go lists the
//     words with a meaning;
//   - parse.go and statement.go begin; query.go, select.go, from.go, grouping.go and window.go read queries; term.go,
//     predicate.go, pattern.go, row.go, call.go, special.go, cast.go, interval.go, literal.go and clock.go read
//     expressions. All use recursive descent. A text that databases read in two ways is refused;
//   - array.go, list.go, pivot.go, ordered.go, quantified.go, subscript.go and fulljoin.go rewrite forms of SQL as
//     others with the same meaning; dialect.go and spelling.go do so for forms of other databases;
//   - precedence.go is the only file that uses sqlparser. Its grammar decides the precedence of AND, OR, NOT and of
//     arithmetic. It gets only operators and numbered placeholders;
//   - tree.go is the tree; operators.go builds its operators; internal.go makes names that no text can have;
//   - aggregate.go knows which functions aggregate, rewrites FILTER, and counts what a SELECT adds up;
//   - walk.go visits and rewrites expressions; bind.go replaces parameters by values; names.go resolves positions and
//     aliases of SELECT's items.
package syntax
