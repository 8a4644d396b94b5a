// Package estimate is arithmetic on numbers that are released, or will be: what they say together, how far noise may
// have moved them, and how they fit each other. It costs no privacy. It knows nothing of SQL, of plans or of data.
//
//   - moments.go makes means, variances and regressions of counts and sums; bracket.go is interval arithmetic on them;
//   - linear.go writes what is computed as a quotient of linear forms, for Fieller's intervals; shares.go tells where
//     quotients and differences of counts must lie;
//   - kronecker.go draws noise for simulations, always the same, and tells where the most of their results are;
//   - isotonic.go and marginals.go fit series that never fall, and tables whose totals are the sums of their parts;
//   - tree.go reads quantiles and extremes from noisy trees of counts, which forest.go fits so that each node is the
//     sum of its children; buckets.go lays out such trees; occurrence.go tells which values occur,
//     place.go which of them are the first and the most frequent, and powers.go between which powers of two they lie;
//     lifetable.go makes survival curves of trees of times;
//   - ladder.go chooses limits by how many rows patients have; digits.go rounds a price up.
package estimate
