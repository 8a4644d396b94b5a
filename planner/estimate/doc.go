// Package estimate computes with numbers that are released or will be: what they tell together, how far noise may have
// moved them, and how they agree with each other. It costs no privacy. It knows nothing of SQL, plans or data.
//
//   - moments.go computes means, variances and regressions from counts and sums; bracket.go is interval arithmetic on
//     them;
//   - linear.go writes computed values as quotients of linear forms, for Fieller's intervals; shares.go bounds
//     quotients and differences of counts;
//   - kronecker.go draws noise for simulations, always the same, and finds the central part of their results;
//   - isotonic.go and marginals.go fit series that never fall, and tables whose totals are the sums of their parts;
//   - tree.go reads quantiles and extremes from noisy trees of counts; forest.go fits the trees, so that each node is
//     the sum of its children; ranks.go is the strategy for quantiles under Gaussian noise; buckets.go chooses the
//     shape of trees; occurrence.go tells which values occur, place.go which of them are the first and the most
//     frequent, and powers.go between which powers of two they lie; lifetable.go computes survival curves from trees of
//     times;
//   - ladder.go chooses limits from how many rows patients have; accuracy.go is how exact an answer shall be; digits.go
//     rounds a price up.
package estimate
