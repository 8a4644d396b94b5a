// Package fragment is the contract between coordinator and node: the typed description of what one node computes, never
// SQL text.
//
// A fragment reads relations (tables of the catalog, joined), filters their rows, groups them, and asks for partial
// aggregates that add up over nodes. Every row belongs to one patient, and Check proves it from the catalog alone. The
// planner and each node run the same Check, so a node trusts only what it has proved itself.
//
// # What a fragment means
//
// Let r be the rows of one patient in one group, at one node. They give one part of each partial aggregate:
//
//   - patients: U if r has a row (for which Expr is true, if there is an Expr), else 0
//   - rows: |r|*U
//   - values: c*U, where c is the number of rows of r in which Expr is not NULL
//   - sum: s*U, where s adds clamp(floor(x*2^Shift + 1/2), Lower, Upper) - Center over the c rows
//   - buckets: n*U for each bucket, where n of the c rows fall into it
//   - beyond: the part of another partial aggregate, not of buckets, that clipping cuts off; see below
//
// All are integers. U, the partial's unit (Proof.Units), is a power of two, so that a fraction of a row can count; it
// is 1 where nothing is clipped.
//
// # The patient is clipped, and nothing else
//
// The parts of a patient, in all groups and partial aggregates, are one vector. A patient whose vector is longer than C
// is scaled down to C as a whole. All others count as they are. So no row is chosen, no group is dropped, and the
// ratios between a patient's own partial aggregates stay. A patient who is scaled down weighs less in averages over all
// patients, which moves the averages if patients with many rows differ from the others. In numbers, for a patient and
// one block of partial aggregates (all partial aggregates of one integer form one block, and each partial aggregate of
// buckets forms a block of its own):
//
//	u   = ceil(1024*|x|/size), x each part of the block, first clamped to Clip.Cap. The u of a sum is at least the
//	      largest u of rows and values in the group
//	N   = sum of weight*u² under L2, of weight*u under L1, over all parts in all groups
//	F   = 2^30 where N <= limit; else an integer of at most 2^30*sqrt(limit/N), or 2^30*limit/N
//	x'  = trunc(x*F/2^30), which adds up over patients, and over nodes
//
// A sum over n rows is never longer than n rows. So where a count stands beside a sum, N depends on how many rows the
// patient has and not on their values: the weight of a patient in a mean does not depend on what is averaged.
//
// So sum of weight*(x'/size)² (or of weight*|x'|/size) is at most Groups times the weights of the block, since rounding
// u up, and F and x' down, can only make it smaller. Over all blocks the sum is at most Groups times Fragment.Weight.
// Sizes and weights are public:
//
//   - The size of a count of rows is MaxRows rows, and the size of a sum is MaxRows times the bound of its grid. Their
//     weight is Groups*Share: a patient with at most MaxRows rows in all is within C however the rows are spread.
//   - The size of patients is one patient, and its weight is Share: a patient in at most Groups groups is within C.
//   - For buckets, each level counts c rows in each group, as rows does, whatever buckets they fall into. A single
//     level counts each bucket.
//
// MaxRows counts as 1 where Check proves one row per patient. Groups is MaxGroups, or the number of possible groups if
// that is smaller. Proof.Clip is the reference. F is the same integer on every engine: N is exact where its root is
// taken (below 2^53, or divided by 2^32 before), and IEEE 754 rounds roots and quotients correctly.
//
// Where keys are not declared, a patient of whom less than an eighth would be left (of one patient, in each group)
// counts nowhere, in no partial aggregate. A group in which nobody counts is not answered. So a patient makes a bounded
// number of groups appear (package dp uses this). And an answer is a sum over patients: a patient who makes a group
// appear reveals nothing of others in it.
//
// # What clipping cuts off is measured
//
// The partial aggregate beyond has the Expr and the Grid of another partial aggregate of the fragment, and its kind as
// Of. Its part is computed from a, the bounded part of the other one, and from the same factor F of the same block, but
// in units of its own:
//
//	x" = trunc(a*H/2^30), H = min(2^30 - F, Most*F)
//
// So it is the amount by which x' is less than a, up to Most times what is left of the patient. It is 0 where nobody is
// clipped. It is in no norm, and need not be: a*F/2^30, before truncation, satisfies sum of weight*(a*F/2^30/size)² <=
// Groups*B, where B is the sum of the block's weights and weight is the other's (L1 is alike), and H <= Most*F. Let its
// own size be Most times the size of the other, and its own Share t where the other's is s; then sum of
// weight*(x"/size)² <= Groups*B*t/s. So Fragment.Weight counts it with B*t/s, rounded up: the other may use up all of
// the block's norm, and the part that is cut off it may be Most times that. TestClip measures both together.
//
// # The last step bounds, and nothing else is needed
//
// The rule: whatever is added up over patients is bounded by the same statement that adds it up, as its last step, on
// every engine and for every partial aggregate, whatever else is known. Each value is clamped to its grid, and each
// part to its cap. The norm is computed from exactly these parts, in the same statement and from one reading of the
// rows, and the factor from that norm. x' and x" are computed from nothing else. A block's norm depends on its own rows
// alone, so different blocks need not read the same rows, except to decide who counts where keys are not declared. The
// bound depends only on this rule and on the patient's id: not on a column's bounds, type or nullability, not on a
// filter, and not on an inference in this package. What the id and the keys promise is verified in the data.
//
// The reason: any other bound is a promise. A catalog says that a column is never NULL, and one row is NULL. Interval
// arithmetic says that a product is not 0, and an engine rounds it to 0. A WHERE keeps a number small, and a database
// computes with the number before it filters. Each of these was believed once, and one patient then changed a sum by a
// million times what its noise was for. A clamp costs a comparison.
//
// # Functional dependencies
//
// The facts that depend on keys come from one closure over the functional dependencies of a select (dependencies.go).
// The attributes are the patient, the row that is read of each relation (or that there is none), and columns:
//
//   - The key of a relation determines its row. A row determines its columns and its patient.
//   - If two columns of one type are equal, each determines the other; a column that equals a constant is determined by
//     nothing. This does not hold for floats.
//   - A dependency is strict if it holds in all joined rows. The ON of a left join gives lax dependencies: they hold if
//     it found a row. Whether it found one is determined by everything that ON reads.
//
// A question compares rows that agree in some attributes: rows of a patient, of another row, or with given expressions.
// Strict dependencies say what has one value, so proofs may use them. Dependencies under the assumption that certain
// left joins found a row say how many rows there can be (Cap, MostRows, Base).
//
// The patient of a row follows from equal patients' ids, and from the foreign key by which a table reaches its patient,
// which defines it (patient.go). No other foreign key gives a dependency, because no node verifies it. The planner adds
// the equality of patients' ids that it implies as a condition (relational.Resolver.LinkByForeignKeys).
//
// These are not dependencies, though they are about keys or single values: DisjointPatients (which of two inputs has a
// patient's rows), spread (how many rows of a public table agree, which the node counts), and a catalog's `steady`
// (what is usual).
//
// # Ranges
//
// An expr.Range is what is known of an expression before any row is read. There are two kinds, which are never mixed:
//
//   - Scope.Range and RangeWhere believe the catalog and the filters. They choose bounds, domains, warnings and
//     messages. If they are wrong, an answer is less accurate.
//   - NewEnforced knows only what the SQL itself makes true. It decides which operations need no guard against
//     overflow, division by zero and the like. A column may be NULL whatever the catalog says. Its bounds hold, because
//     the SQL that reads it clamps the same value. A derived column has the values that its expression gives on any
//     row, because a database may compute it, and expressions over it, before WHERE, ON, HAVING and set operations.
//
// # Expressions are total
//
// No expression can fail on a row's value; package expr says what it gives. Guards are inside the value (CASE WHEN), so
// they hold in whatever order a database evaluates a statement. A column with bounds reads a value outside them as the
// nearest bound.
//
// # Limits
//
// If the values of a patient decided how much memory a query needs, they would decide whether it fails, and a failure
// is an output. So limits are public and part of the meaning: what would exceed a limit is cut, or the fragment is
// refused before any row is read.
//
//   - A text that a node groups by and answers with ends after expr.MaxKey characters.
//   - A text that || or a growing REPLACE makes ends after expr.MaxGrown characters, and no intermediate text is much
//     longer.
//   - Other operations that make a text read the first expr.MaxText characters of a stored one.
//   - Joins with public rows make at most MaxSpread rows from one row of a patient, over all levels of derived
//     relations, and MaxPublicRows rows from public rows alone. Check counts lists of constants. Public tables belong
//     to each hospital: a node knows how many of their rows agree in the columns by which they are joined (Spread).
//   - If private relations are joined so that a patient's rows multiply, they make at most MaxPatientRows rows of one
//     patient in a select, or in each case of which left joins find a row. Of a patient with more, surplus rows of each
//     relation are left out before the join, by a keyed hash of what is read (see Cap). A patient within the limit
//     loses no row. Public rows may then multiply each of these rows by at most a tenth of MaxSpread.
//   - The texts that are computed for one row have at most maxTexts characters in the whole fragment.
//   - The operations of all expressions are bounded (expr.Budget). The operations of a query count again on each level
//     above it and wherever else it is read, so this bounds the time of Check and of planning a whole statement. A Memo
//     derives the properties of a query once, however often they count.
package fragment
