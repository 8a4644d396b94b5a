// Package fragment is the contract between coordinator and node: the typed
// description of what one node computes, never SQL text.
//
// A fragment reads relations (tables of the catalog, joined), filters their
// rows, groups them, and asks for partial aggregates that add up over nodes.
// Every row belongs to one patient, and Check proves it from the catalog alone;
// the planner and each node run the same Check, so a node trusts nothing that
// it has not proved itself.
//
// # What a fragment means
//
// Let r be the rows of one patient in one group, at one node.
//
//   - patients: 1 if r holds a row (for which Expr is true, where given), else 0
//   - rows:     min(|r|, K)
//   - values:   min(c, K), c being the rows of r where Expr is not NULL
//   - sum:      s if c <= K, else trunc(s*K/c), where s adds, over the c rows,
//     clamp(floor(x*2^Shift + 1/2), Lower, Upper) - Center
//   - buckets:  for each bucket, n*U if c <= K, else trunc(n*U*K/c), where n of the c
//     rows fall into it, and U is Buckets.Row()
//
// with K = 1 where Check proves one row a patient, and K = MaxRows elsewhere: a
// patient with more rows than K counts as K rows that look like the average of
// theirs, so that ratios of partial aggregates stay unbiased. All are integers,
// and a patient's part is at most Proof.LInf whatever the rows hold: see below. At most
// MaxGroups groups of a patient are kept, by a keyed hash; the parts that are
// kept add up over patients, and over nodes.
//
// # The last step bounds, and nothing else is needed
//
// The rule: what is added up over patients is clamped to its bound by the statement that adds it up, as the last
// thing that happens to it, on every engine and for every partial aggregate, whatever is known of it. The bound on a
// patient's part follows from that clamp and from the patient's id alone: from no bound, type or nullability of a
// column, from no filter, and from no inference here. What the id and the keys promise is verified in the data.
//
// The reason: any other bound is a promise. A catalog says that a column is never NULL, and one row is; interval
// arithmetic says that a product is not 0, and an engine rounds it to 0; a WHERE keeps a number small, and a database
// computes with it before it filters. Each was believed once, and one patient then changed a sum by a million times
// what its noise was for. A clamp costs a comparison.
//
// # Facts
//
// Facts are what is known of an expression before any row is read. There are two kinds, and they never meet:
//
//   - Scope.Facts and FactsWhere believe the catalog and the filters. They choose bounds, domains, warnings and
//     messages. If they are wrong, an answer is less accurate.
//   - NewEnforced knows what the SQL makes true by itself. It decides which operations need no guard against
//     overflow, division by zero and the like. A column may be NULL whatever the catalog says; its bounds hold,
//     because the SQL that reads it clamps, within the same value; a derived column is what its expression
//     gives on any row, since a database may compute it, and what is made of it, before WHERE, ON, HAVING and
//     set operations.
//
// # Expressions are total
//
// No expression can fail on a row's value: a division by zero, an integer
// beyond 64 bits, a real number beyond float64 and a text that is no number
// give NULL. Guards stand inside the value (CASE WHEN), so that they hold in whatever order a database evaluates a
// statement. A column with bounds reads a value outside of them as the nearest
// bound. Evaluate is the reference for this semantics; engines are tested against it, and
// may differ in real numbers nearer to zero than 1e-150 and beyond 8.9e307, which intervals account for.
//
// # Limits
//
// Memory that a patient's values decide would decide whether a query fails, and a failure is an output. So limits are
// public and part of the semantics: what would go beyond is cut, or the fragment is refused before any row is read.
//
//   - a text that a node groups by and answers with ends after MaxKey characters
//   - a text that || or a growing REPLACE makes ends after MaxGrown, and no step on the way is much longer
//   - other operations that make a text read the first MaxText of a stored one
//   - joins with public rows make at most MaxSpread rows of one row of a patient, over all levels of derived relations, and
//     MaxPublicRows of public rows alone. Lists of constants are counted by Check; of public tables, which are each hospital's own,
//     a node knows how many rows agree in the columns by which they are joined (Spread)
//   - private relations that are joined such that a patient's rows multiply make at most MaxPatientRows rows of one
//     patient in a select, or of each case of which left joins find a row: of a patient with more, the surplus of each relation is
//     left out before the join, by a keyed hash of what is read. Cap has the definition. A patient within the limit loses no row. What
//     public rows may then make of each is a tenth of MaxSpread
//   - the texts that are computed for one row have, in the whole fragment, at most maxTexts characters
package fragment
