// Package dp is the privacy core: it draws noise, decides which undeclared groups may be shown,
// says how precise a noisy answer is, and adds up what was lost. It sees numbers and public
// parameters only: no database, no network, no clock. Its only randomness is that of Google's
// differential-privacy library.
//
// # What is protected
//
// Two federations D, D' are neighbours if one results from the other by removing one patient: all of
// the patient's rows, in all tables, at all hospitals. A randomised M is (epsilon, delta)-differentially
// private if P(M(D) in S) <= exp(epsilon) P(M(D') in S) + delta for all neighbours, both ways round, and all S
// (Dwork & Roth 2014, Definition 2.4).
//
// # One release is one vector
//
// A query releases integers x_j, one for each of k partial aggregates in each group. Callers must see to this:
// a patient is at no more than m <= MaxSites sites; at each site a patient changes at most l0 coordinates
// (l0 = k times the groups a patient may touch) and coordinate j by at most bound_j, an integer >= 1;
// lInf_j = m*bound_j; all coordinates share one Noise, and each draws its own. A tree of counts, to each of whose H
// levels a patient adds at most bound in all, however spread, counts as H coordinates: what the lemma needs of a
// site's differences is ||v^s||_1 <= l0/m and ||v^s||_2 <= sqrt(l0)/m, and a level contributes at most 1/m to
// either, as one coordinate would. (The paragraph on g >= 1 below does count entries; planner refuses trees there.)
//
// Lemma. Let d = x(D) - x(D') and v_j = d_j/lInf_j. Then ||v||_1 <= l0 and ||v||_2 <= sqrt(l0), and |v_j| <= 1.
//
// Proof. d is the sum of the m sites' differences, so v = v^1 + ... + v^m, where v^s has at most l0 entries that are
// not 0, each at most bound_j/lInf_j = 1/m in absolute value. So ||v^s||_1 <= l0/m, ||v^s||_2 <= sqrt(l0)/m,
// |v^s_j| <= 1/m, and the triangle inequality adds up m of each. (In the units of one aggregate, Linf = bound_j:
// L1 <= m*l0*Linf and L2 <= m*sqrt(l0)*Linf, although the m sites may touch m*l0 different coordinates.)
//
// Laplace: coordinate j gets scale b_j >= l0*lInf_j/epsilon, so the densities' ratio is at most
// exp(sum |d_j|/b_j) <= exp(epsilon ||v||_1/l0) <= exp(epsilon) (Dwork & Roth 2014, Theorem 3.6).
//
// Gaussian: coordinate j gets sigma_j >= s*sqrt(l0)*lInf_j, where s is the smallest sigma that makes sensitivity 1
// (epsilon, delta)-private (Balle & Wang 2018, Theorem 8). Dividing coordinate j by sigma_j shows the
// standard Gaussian mechanism at L2 distance at most ||v||_2/(s*sqrt(l0)) <= 1/s.
//
// Both are what the library's AddNoiseInt64(x_j, l0, lInf_j, epsilon, delta) draws, with the same l0,
// epsilon and delta for all j.
//
// # Why the library's samplers, and what they really draw
//
// Textbook noise in floating point tells the exact answer by its low bits (Mironov 2012). The library draws an
// integer and multiplies it by a power of two, the granularity g ("Secure Noise Generation", in the library's
// common_docs; the class of attacks and defences is that of Mironov 2012 and Ghosh, Roughgarden & Sundararajan 2009,
// whose two-sided geometric mechanism the Laplace sampler is). This package needs these details:
//
//   - Laplace samples are two-sided geometric of scale (l0*lInf+g)/epsilon on multiples of g <= 2^-39 scale; that is the
//     scale Distribution tells. For g < 1 integers are multiples of g, and rounding the sum to an integer is post-processing.
//   - For g >= 1 the library rounds x to a multiple of g, which may add g to |d_j| in each of up to m*l0 coordinates. Add then passes
//     lInf_j + MaxSites*g: charge the g to one of the sites that touch j; its part is then at most
//     bound_j + g <= (lInf_j + m*g)/m, and the lemma holds as before with lInf_j + m*g for lInf_j.
//   - Gaussian granularity stays below 1, since Add refuses sigma > 2^55. The sampler cuts at 8.8 sigma. Given that
//     a release lies in the range that both neighbours' samplers reach, an interval per coordinate, its
//     law is a truncated Gaussian whose Rényi divergence is no larger than the whole Gaussian's, for the log-partition function's second derivative,
//     the variance, shrinks by truncation. Outside of it lies, with shifts u_j = |d_j|/sigma_j and Q the normal upper tail, at most
//     sum Q(8.8-u_j)-Q(8.8), which is convex in u_j and 0 at 0, so at most l0*Q(8.8-u) with u = 1/(s*sqrt(l0)).
//     Loss charges this as Delta (typically l0 times 1e-18); a Noise for which it exceeds Delta is refused.
//   - The library's sigma is from 0 to 0.1 % above the smallest sufficient one; rho is charged for the smallest.
//     Its formula for delta cancels for small epsilon and gives sigma 0 for epsilon > 709: both are refused,
//     and it is given delta*(1-1e-6), more than its rounding error.
//   - epsilon and delta are charged as the decimals a person wrote; the library gets the next float64 below.
//
// That the sampler's pseudo-random bits are random, and that its float64 geometric search and its
// approximation of the binomial distribution are as close as that document says, is assumed and not charged.
//
// # Undeclared groups
//
// A group that only one patient has must not be shown, except with probability at most delta: see Noise.Threshold.
// Proof for the whole release: let B be the event that a group only the removed patient has is shown;
// P(B) <= delta_T. Noise is independent between coordinates, so given that B does not happen, what is left are
// the groups that both federations have, to which the lemma applies. So the release is
// (epsilon, delta+delta_T)-private, and delta_T-approximately rho-zCDP.
//
// # Adding up
//
// Laplace at epsilon is epsilon²/2-zCDP, Gaussian is 1/(2s²)-zCDP (Bun & Steinke 2016, Propositions 1.4 and 1.6),
// and approximate zCDP adds rho and delta (their Section 8). rho-zCDP with delta_T is
// (rho + 2 sqrt(rho ln(1/delta')), delta'+delta_T)-private for each delta' (Proposition 1.3). Under ZCDP a Budget sets
// delta' = Delta/2 and leaves Delta/2 for delta_T, and turns Epsilon into a limit on rho, once and for all. Under Pure,
// epsilons and deltas add up (Dwork & Roth 2014, Theorem 3.16).
//
// Researchers choose the next query, and its epsilon, after seeing answers. Refusing whatever would pass a total that was
// fixed beforehand is a privacy filter, and valid then too: for zCDP by Feldman & Zrnic 2021 (Rényi filter) and, with deltas,
// Whitehouse et al. 2023 (filter for approximate zCDP); for sums of epsilon and delta by Rogers et al. 2016.
// This needs the charge, made durable, before the answer; that is the ledger's part.
//
// # References
//
//   - Balle, Wang: Improving the Gaussian Mechanism for Differential Privacy. ICML 2018
//   - Birnbaum: On Random Variables with Comparable Peakedness. Ann. Math. Stat. 1948
//   - Bobkov: Convex Bodies and Norms Associated to Convex Measures. Probab. Theory Relat. Fields 2010
//   - Bun, Steinke: Concentrated Differential Privacy: Simplifications, Extensions, and Lower Bounds. TCC 2016
//   - Dwork, Roth: The Algorithmic Foundations of Differential Privacy. 2014
//   - Feldman, Zrnic: Individual Privacy Accounting via a Rényi Filter. NeurIPS 2021
//   - Fieller: Some Problems in Interval Estimation. J. R. Stat. Soc. B 1954
//   - Ghosh, Roughgarden, Sundararajan: Universally Utility-Maximizing Privacy Mechanisms. STOC 2009
//   - Gil-Pelaez: Note on the Inversion Theorem. Biometrika 1951
//   - Google: Secure Noise Generation. github.com/google/differential-privacy, common_docs
//   - Meyer, Reisner: A Geometric Property of the Boundary of Symmetric Convex Bodies. Geom. Dedicata 1991
//   - Mironov: On Significance of the Least Significant Bits for Differential Privacy. CCS 2012
//   - Rogers, Roth, Ullman, Vadhan: Privacy Odometers and Filters. NeurIPS 2016
//   - Whitehouse, Ramdas, Rogers, Wu: Fully-Adaptive Composition in Differential Privacy. ICML 2023
package dp
