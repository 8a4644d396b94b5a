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
// Let r be the rows of one patient in one group, at one node. They add up to a part of each partial aggregate:
//
//   - patients: U if r holds a row (for which Expr is true, where given), else 0
//   - rows:     |r|*U
//   - values:   c*U, c being the rows of r where Expr is not NULL
//   - sum:      s*U, where s adds, over the c rows, clamp(floor(x*2^Shift + 1/2), Lower, Upper) - Center
//   - buckets:  for each bucket n*U, where n of the c rows fall into it
//   - beyond:   of another of these, not of buckets, what clipping leaves out of it; see below
//
// All are integers. U, the partial's unit (Proof.Units), is a power of two, so that a fraction of a row can count; it
// is 1 where nothing is clipped.
//
// # The patient is clipped, and nothing else
//
// The parts of a patient, of all groups and partial aggregates, are one vector. A patient whose vector is longer than C
// is scaled down to C, as a whole; all others count as they are. So no row is chosen, no group is dropped, and the
// ratios of a patient's own partial aggregates stay; one who is scaled down weighs less in averages over all patients,
// which moves them where who has many rows differs from the others. In numbers, for a patient and one block of partial
// aggregates (all those of one integer are a block, and so is each of the others, of buckets):
//
//	u   = ceil(1024*|x|/size), x each part of the block, first clamped to Clip.Cap
//	N   = sum of weight*u² under L2, of weight*u under L1, over all parts in all groups
//	F   = 2^30 where N <= limit; else an integer of at most 2^30*sqrt(limit/N), or 2^30*limit/N
//	x'  = trunc(x*F/2^30), which adds up over patients, and over nodes
//
// So sum of weight*(x'/size)² (or of weight*|x'|/size) is at most Groups times the weights of the block, since
// rounding up of u and down of F and x' can only make it less; and over the blocks, Groups times Fragment.Weight.
// Sizes and weights are public:
//
//   - the size of a count of rows is MaxRows rows, of a sum MaxRows times the bound of its grid, and the weight
//     Groups*Share: a patient of at most MaxRows rows in all is within C however they are spread
//   - the size of patients is one patient, and the weight Share: a patient in at most Groups groups is within C
//   - of buckets a level counts c rows in each group, as rows does, whatever buckets they fall into; one level alone,
//     each bucket
//
// MaxRows counts as 1 where Check proves one row a patient, and Groups is MaxGroups, or the number of groups that
// there can be if that is less. Proof.Clip is the reference. F is the same integer on every engine: N is exact where
// its root is taken (below 2^53, or divided by 2^32 before), and IEEE 754 rounds roots and quotients correctly.
//
// Where keys are not declared, a patient of whom less than an eighth would be left (of one patient, in each group)
// counts nowhere, in no partial aggregate, and a group in which nobody counts is not answered. So a patient makes a
// bounded number of groups appear (package dp has the use of it); and what a node answers is a sum over patients
// whoever makes a group appear: nothing of others comes with it.
//
// # What clipping leaves out is measured
//
// The partial aggregate beyond has the Expr, the Grid and, as Of, the kind of another one in the fragment. Its part is
// made of that one's a, which is bounded as there but in units of its own, and of the same factor F of the same block:
//
//	x" = trunc(a*H/2^30), H = min(2^30 - F, Most*F)
//
// so that it is what x' falls short of a by, up to Most times as much as is left of the patient; 0 where nobody is
// clipped. It is in no norm, and need not be: a*F/2^30, before it is truncated, satisfies sum of
// weight*(a*F/2^30/size)² <= Groups*B, where B are the weights of the block and weight is that of the other (L1 is
// alike), and H <= Most*F. With its own size, Most sizes of the other, and its own Share t where that is s, sum of
// weight*(x"/size)² <= Groups*B*t/s. So Fragment.Weight counts it with B*t/s, rounded up: the other may take up all of
// the block's norm, and what is left out of it Most times that. TestClip measures both together.
//
// # The last step bounds, and nothing else is needed
//
// The rule: what is added up over patients is bounded by the statement that adds it up, as the last thing that happens
// to it, on every engine and for every partial aggregate, whatever is known of it. Each value is clamped to its grid,
// each part to its cap, the norm is computed from these very parts, in the same statement and from one reading of the
// rows, and the factor from that norm; x' and x" are made of nothing else. A block's norm is of its own rows alone, so
// that blocks need not have read the same, but for who counts where keys are not declared. The bound follows from that
// and from the patient's id alone: from no bound, type or nullability of a column, from no filter, and from no
// inference here. What the id and the keys promise is verified in the data.
//
// The reason: any other bound is a promise. A catalog says that a column is never NULL, and one row is; interval
// arithmetic says that a product is not 0, and an engine rounds it to 0; a WHERE keeps a number small, and a database
// computes with it before it filters. Each was believed once, and one patient then changed a sum by a million times
// what its noise was for. A clamp costs a comparison.
//
// # Ranges
//
// An expr.Range is what is known of an expression before any row is read. There are two kinds, and they never meet:
//
//   - Scope.Range and RangeWhere believe the catalog and the filters. They choose bounds, domains, warnings and
//     messages. If they are wrong, an answer is less accurate.
//   - NewEnforced knows what the SQL makes true by itself. It decides which operations need no guard against
//     overflow, division by zero and the like. A column may be NULL whatever the catalog says; its bounds hold,
//     because the SQL that reads it clamps, within the same value; a derived column is what its expression
//     gives on any row, since a database may compute it, and what is made of it, before WHERE, ON, HAVING and
//     set operations.
//
// # Expressions are total
//
// No expression can fail on a row's value; package expr says what it gives. Guards stand inside the value (CASE WHEN),
// so that they hold in whatever order a database evaluates a statement. A column with bounds reads a value outside of
// them as the nearest bound.
//
// # Limits
//
// Memory that a patient's values decide would decide whether a query fails, and a failure is an output. So limits are
// public and part of the semantics: what would go beyond is cut, or the fragment is refused before any row is read.
//
//   - a text that a node groups by and answers with ends after expr.MaxKey characters
//   - a text that || or a growing REPLACE makes ends after expr.MaxGrown, and no step on the way is much longer
//   - other operations that make a text read the first expr.MaxText of a stored one
//   - joins with public rows make at most MaxSpread rows of one row of a patient, over all levels of derived
//     relations, and MaxPublicRows of public rows alone. Lists of constants are counted by Check; of public tables,
//     which are each hospital's own, a node knows how many rows agree in the columns by which they are joined
//     (Spread)
//   - private relations that are joined such that a patient's rows multiply make at most MaxPatientRows rows of one
//     patient in a select, or of each case of which left joins find a row: of a patient with more, the surplus of
//     each relation is left out before the join, by a keyed hash of what is read. Cap has the definition. A patient
//     within the limit loses no row. What public rows may then make of each is a tenth of MaxSpread
//   - the texts that are computed for one row have, in the whole fragment, at most maxTexts characters
//   - the operations of all expressions are bounded (expr.Budget): those of a query count again on each level above it
//     and wherever else it is read, so this bounds the time for Check, and for planning a whole statement. A Memo
//     derives what is known of a query once, however often it counts
package fragment
