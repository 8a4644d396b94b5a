// Package dp is the privacy core. It draws noise, decides which undeclared groups may be shown, says how precise a
// noisy answer is, and adds up privacy losses. It sees only numbers and public parameters: no database, no network, no
// clock. Its only randomness is crypto/rand's. Part of that is read by Google's differential-privacy library, which
// draws the Laplace noise.
//
// # What is protected
//
// Two federations D and D' are neighbours if one results from the other by removing one patient: all of the patient's
// rows, in all tables, at all hospitals. A randomised M is (epsilon, delta)-differentially private if P(M(D) in S) <=
// exp(epsilon) P(M(D') in S) + delta for all neighbours, in both directions, and for all sets S (Dwork & Roth 2014,
// Definition 2.4).
//
// # One release is one vector
//
// A query releases integers x_j, one for each partial aggregate in each group. Callers must guarantee two things. A
// patient is at no more than m <= MaxSites sites. At each site one statement adds up the patients' vectors, and its
// last step before the sum clips each vector to a norm (internal/fragment has the definition). Let d^s be the vector
// that a patient adds at site s. Then
//
//	sum w_j (d^s_j/size_j)² <= limit   for Gaussian noise,   sum w_j |d^s_j|/size_j <= limit   for Laplace noise
//
// with public sizes and weights. The vector may touch any number of coordinates. Noise.Limit is limit,
// Coordinate.Weight is w_j, and Coordinate.Size is m*size_j. All coordinates share one Noise, and each has its own
// draw. (A tree of counts has one weight for each of its levels. The amount that clipping removes is also a coordinate,
// and limit includes its part.)
//
// Lemma. Let d = x(D) - x(D') and v_j = d_j/(m*size_j). Then sum w_j v_j² <= limit, or sum w_j |v_j| <= limit.
//
// Proof. d is the sum of the m sites' d^s. Both sides are norms (the first after taking the root). By the triangle
// inequality the norm of d, in units of size_j, is at most m times that of one site: m*sqrt(limit), or m*limit.
//
// Laplace: coordinate j gets scale b_j >= limit*m*size_j/(w_j*epsilon), so the densities' ratio is at most
// exp(sum |d_j|/b_j) <= exp(epsilon sum w_j |v_j|/limit) <= exp(epsilon) (Dwork & Roth 2014, Theorem 3.6).
//
// Gaussian: coordinate j gets discrete Gaussian noise of sigma_j >= m*size_j*sqrt(limit/w_j)/epsilon. A shift of d_j
// then costs d_j²/(2 sigma_j²) of rho, in concentrated differential privacy, exactly as in the continuous case
// (Canonne, Kamath & Steinke 2020, Theorem 4). Independent coordinates add up: rho <= epsilon²/(2 limit) sum w_j v_j²
// <= epsilon²/2. Laplace noise of epsilon costs the same rho. So rho prices both, and at the same price Gaussian noise
// has the smaller error (Choose): its 95 % half-width is 1.96 sqrt(limit/w_j)/epsilon, in units of m*size_j, and that
// of Laplace noise is 3.00 limit/(w_j epsilon). Pure accounting allows only Laplace noise.
//
// # Shares: noise drawn at the hospitals
//
// Where no coordinator is trusted, each of n hospitals adds a share of the noise to its own numbers before they leave.
// A share is discrete Gaussian noise of variance v_j = sigma_j²/max(m, H). H is the number of shares that a hospital
// may rely on, its own included (Noise.Share). Let rho be the loss when one party adds the whole noise of sigma_j. A
// patient is at k <= m hospitals.
//
//   - All else fails: each of the k vectors is seen by itself. One site's difference has at most 1/m of the norm that
//     the lemma allows for m sites together. So one vector costs at most rho/m² max(m, H), and k of them cost at most
//     rho max(1, H/m).
//   - H <= m, for example H = 1: that cost is rho. Each share protects its hospital by itself. Whatever happens to the
//     vectors afterwards, their sum included, is post-processing. Nothing is assumed about anybody else. The sum over n
//     = m hospitals has the same error as noise that one party adds, since n sigma²/m is sigma². In general the error
//     is sqrt(n/max(m, H)) times that.
//   - Only the sum over all is seen, and h >= max(H, k) of its shares are honest: the difference is k/m of the lemma's
//     norm under variance h v, which costs rho (k/m)² max(m, H)/h. For H >= m this is at most rho, as k <= m and h >=
//     H. Otherwise it is at most rho k/m, as k <= h. (A sum of h discrete Gaussians on a grid of sigma >= 2^10 is
//     concentrated as one Gaussian, except for 10 sum_{k<h} exp(-2 pi² sigma² k/(k+1)) < 10^-1000000: Kairouz, Liu &
//     Steinke 2021, Proposition 14.)
//
// m must never be smaller than the number of hospitals at which a patient may be, even where a query asks fewer. A
// query put to the hospitals one after the other then costs rho/m at each. A share is drawn on a grid of 2^-shift on
// which its sigma is at least 2^10, and x is a multiple of the grid. So the difference is a shift by whole steps, and
// the theorem of Canonne, Kamath & Steinke applies exactly. The noisy numbers are added on that grid, modulo 2^64, and
// rounded once. That is post-processing. So is clamping each number before its noise is added.
//
// # The samplers
//
// Textbook noise in floating point reveals the exact answer through its low bits (Mironov 2012). Neither sampler works
// like that.
//
// Gaussian noise is our own (gauss.go): integers of P(z) ~ exp(-z²/(2 sigma²)), drawn exactly, on a grid of 2^-shift.
// On that grid sigma is a whole number, rounded up, of at least 2^20, so it is at most a millionth too large. x is a
// multiple of the grid, so adding z to x and rounding to a whole number is post-processing. The draw is not truncated
// and needs no delta, with one exception that is neglected: a draw beyond 256 sigma, of probability below 2^-40000, is
// drawn again.
//
// Laplace noise is the library's. It draws an integer and multiplies it by a power of two, the granularity g ("Secure
// Noise Generation", in the library's common_docs). The attacks and defences of this kind are those of Mironov 2012 and
// Ghosh, Roughgarden & Sundararajan 2009; the sampler is the latter's two-sided geometric mechanism. This package
// relies on these details:
//
//   - Laplace samples are two-sided geometric of scale (limit*size+g)/epsilon on multiples of g <= 2^-39 scale.
//     Distribution reports that scale. For g <= 1 integers are multiples of g, and rounding the sum to an integer is
//     post-processing.
//   - For g > 1 the library would round x to a multiple of g. That may add g to |d_j| in each of any number of
//     coordinates. Such noise is refused.
//   - epsilon is charged as the decimal a person wrote; the library gets the next float64 below.
//
// Two things are assumed and not charged: the library's pseudo-random bits are random, and its float64 geometric search
// is as close as that document says.
//
// # Undeclared groups
//
// A group that only one patient has may be shown with probability at most delta: see Noise.Threshold. Proof for the
// whole release: let B be the event that a group is shown which only the removed patient has; P(B) <= delta_T. Noise is
// independent between coordinates. So if B does not happen, the groups that both federations have are left, and the
// lemma applies to them. The release is therefore (epsilon, delta+delta_T)-private, and delta_T-approximately rho-zCDP.
// (A group appears at a site only by a patient's part of the number of patients, so whether other patients have it does
// not depend on this patient. A patient without such a part in a group has no part in the group's other coordinates. So
// a site's answer is the sum over its patients, with the removed patient and without.)
//
// A norm alone does not bound P(B). Suppose a patient is in n groups and counts 1/sqrt(n) in each: P(any is shown) is
// then about n times the tail of the noise at T, which grows with n without limit. Presence.Least bounds n: a patient
// whose parts are below it is left out, with all coordinates, which only shortens the vector. A part c_g is then 0 or
// at least Least, and at one site sum c_g <= Reach. Under L1 limit/w is such a bound, in units of size. Under L2 it is
// limit/w divided by Least, as c_g <= c_g²/Least. Over m sites the parts of one group add up to c with Least <= c <=
// m*Most, and those of all groups to at most m*Reach. So sum f(c) <= m*Reach*max f(c)/c, where f(c) is the tail at T -
// c. Gopi et al. 2020 (weighted Gaussian) count each patient by a vector of bounded L2 norm and bound the number of
// groups in this way; the threshold is that of Korolova et al. 2009. With a least part of an eighth, T at n = 64*limit
// groups a patient is about a tenth higher than at n = limit: the tail is Gaussian, and T depends on its logarithm.
//
// The threshold applies to the noisy count that is released anyway, so selecting groups costs no epsilon. It is the
// best of the rules that see only that count. The noise has a monotone likelihood ratio, so of all rules that are at
// most as likely to show a group of one patient, the rule "show exactly the large counts" shows a group of any other
// size most often (Neyman & Pearson 1933). A mechanism that only selects does better for one group a patient
// (Desfontaines et al. 2022): by one patient in 15 at epsilon 1, by 24 of 133 at 0.1 (TestThresholdBesideTheOptimum).
// But it would have to pay for the count in addition, or draw it from a truncated distribution, which the library does
// not have.
//
// Now suppose that each hospital draws a share of the noise that protects it by itself (H <= m above). Each hospital
// names those of its groups whose noisy number of patients is at least T (Share.Threshold). Then it sends its noisy
// numbers for the groups that any hospital named. For a group that it does not have, it sends noise on zeros. This
// costs rho and delta_T in all. Proof: think of a hospital's vector over all possible groups, each number with its
// noise. A patient's hospitals lose rho/m each by releasing this vector, whoever reads which part of it, and however
// the next part is chosen after the one before: reading is post-processing. The names are read off the vector too, with
// one exception: a hospital names only groups that it has. Let D' lack the patient, and let D choose its names among
// the groups of D' instead of its own; then all of the above is post-processing of the vector in both. The real
// behaviour of D differs only if it names a group that it has and D' has not. Only the patient makes such a group
// appear; over all hospitals it is named with probability at most delta_T. So the coordinator may ask for groups that
// no hospital named, and for different ones at each hospital, and learns no more. But no group may get different noise
// a second time.
//
// Where hospitals rely on each other's noise (H > m), a name told by such a share would cost a hospital up to H/m times
// rho/m. There the names are one release, by shares that protect by themselves, and the sums are another release, with
// new noise. Together they cost rho (fragment.Cover.Parts).
//
// # Adding up
//
// Laplace at epsilon is epsilon²/2-zCDP (Bun & Steinke 2016, Proposition 1.4), and so is the Gaussian noise of this
// package. Approximate zCDP adds rho and delta (their Section 8). rho-zCDP with delta_T is (EpsilonFromRho(rho,
// delta'), delta'+delta_T)-private for each delta' (Canonne, Kamath & Steinke 2020). Under ZCDP a Budget sets delta' =
// Delta/2, leaves Delta/2 for delta_T, and turns Epsilon into a fixed limit on rho. Under Pure, epsilons and deltas add
// up (Dwork & Roth 2014, Theorem 3.16).
//
// Researchers choose the next query, and its epsilon, after seeing answers. A privacy filter refuses every query that
// would exceed a total fixed beforehand, and it is valid in this case too: for zCDP by Feldman & Zrnic 2021 (Rényi
// filter) and, with deltas, Whitehouse et al. 2023 (filter for approximate zCDP); for sums of epsilon and delta by
// Rogers et al. 2016. The charge must be durable before the answer is sent; the ledger does that.
//
// # References
//
//   - Balle, Wang: Improving the Gaussian Mechanism for Differential Privacy. ICML 2018 (tests)
//   - Birnbaum: On Random Variables with Comparable Peakedness. Ann. Math. Stat. 1948
//   - Bobkov: Convex Bodies and Norms Associated to Convex Measures. Probab. Theory Relat. Fields 2010
//   - Bun, Steinke: Concentrated Differential Privacy: Simplifications, Extensions, and Lower Bounds. TCC 2016
//   - Canonne, Kamath, Steinke: The Discrete Gaussian for Differential Privacy. NeurIPS 2020
//   - Desfontaines, Voss, Gipson, Mandayam: Differentially Private Partition Selection. PoPETs 2022(1)
//   - Dwork, Roth: The Algorithmic Foundations of Differential Privacy. 2014
//   - Feldman, Zrnic: Individual Privacy Accounting via a Rényi Filter. NeurIPS 2021
//   - Fieller: Some Problems in Interval Estimation. J. R. Stat. Soc. B 1954
//   - Ghosh, Roughgarden, Sundararajan: Universally Utility-Maximizing Privacy Mechanisms. STOC 2009
//   - Gil-Pelaez: Note on the Inversion Theorem. Biometrika 1951
//   - Gopi, Gulhane, Kulkarni, Shen, Shokouhi, Yekhanin: Differentially Private Set Union. ICML 2020
//   - Google: Secure Noise Generation. github.com/google/differential-privacy, common_docs
//   - Kairouz, Liu, Steinke: The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure
//     Aggregation. ICML 2021
//   - Korolova, Kenthapadi, Mishra, Ntoulas: Releasing Search Queries and Clicks Privately. WWW 2009
//   - Meyer, Reisner: A Geometric Property of the Boundary of Symmetric Convex Bodies. Geom. Dedicata 1991
//   - Mironov: On Significance of the Least Significant Bits for Differential Privacy. CCS 2012
//   - Neyman, Pearson: On the Problem of the Most Efficient Tests of Statistical Hypotheses. Phil. Trans. R. Soc. A
//     1933
//   - Rogers, Roth, Ullman, Vadhan: Privacy Odometers and Filters. NeurIPS 2016
//   - Whitehouse, Ramdas, Rogers, Wu: Fully-Adaptive Composition in Differential Privacy. ICML 2023
package dp
