// Package dp is the privacy core: it draws noise, decides which undeclared groups may be shown, says how precise a
// noisy answer is, and adds up what was lost. It sees numbers and public parameters only: no database, no network, no
// clock. Its only randomness is crypto/rand's: its own, and that of Google's differential-privacy library, which
// draws the Laplace noise.
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
// A query releases integers x_j, one for each partial aggregate in each group. Callers must see to this: a patient is
// at no more than m <= MaxSites sites; at each site the statement that adds up the patients' vectors clips each of
// them, last, to a norm (internal/fragment has the definition): of the vector d^s that a patient adds there,
//
//	sum w_j (d^s_j/size_j)² <= limit   for Gaussian noise,   sum w_j |d^s_j|/size_j <= limit   for Laplace noise
//
// with public sizes and weights; it may touch any number of coordinates. Noise.Limit is limit, Coordinate.Weight is
// w_j, and Coordinate.Size is m*size_j. All coordinates share one Noise, and each draws its own. (A tree of counts
// has the weight of a level at each of its levels. What clipping leaves out is a coordinate too, and limit holds its
// part.)
//
// Lemma. Let d = x(D) - x(D') and v_j = d_j/(m*size_j). Then sum w_j v_j² <= limit, or sum w_j |v_j| <= limit.
//
// Proof. d is the sum of the m sites' d^s. Both sides are norms (the first by its root), so by the triangle
// inequality that of d in units of size_j is at most m times that of one site: m*sqrt(limit), or m*limit.
//
// Laplace: coordinate j gets scale b_j >= limit*m*size_j/(w_j*epsilon), so the densities' ratio is at most
// exp(sum |d_j|/b_j) <= exp(epsilon sum w_j |v_j|/limit) <= exp(epsilon) (Dwork & Roth 2014, Theorem 3.6).
//
// Gaussian: coordinate j gets discrete Gaussian noise of sigma_j >= m*size_j*sqrt(limit/w_j)/epsilon. A shift of d_j
// then costs d_j²/(2 sigma_j²) of rho, in concentrated differential privacy, exactly as in the continuous case
// (Canonne, Kamath & Steinke 2020, Theorem 4), and independent coordinates add up: rho <= epsilon²/(2 limit) sum w_j
// v_j² <= epsilon²/2, which is what Laplace noise of epsilon costs too. So one currency, rho, prices both, and at one
// price Gaussian noise errs least (Choose): its 95 % half-width is 1.96 sqrt(limit/w_j)/epsilon of m*size_j, that of
// Laplace noise 3.00 limit/(w_j epsilon). Pure accounting knows Laplace noise alone.
//
// # Shares: noise drawn at the hospitals
//
// Where nobody is trusted, each of n hospitals adds a share of the noise to its own numbers before they leave: discrete
// Gaussian of variance v_j = sigma_j²/max(m, H), where H of the shares, its own included, are those that it may rely on
// (Noise.Share). Let rho be the loss that sigma_j would cost one who adds the whole noise. A patient is at k <= m
// hospitals.
//
//   - All else fails: each of the k vectors is seen by itself. One site's difference has 1/m of the norm that the lemma
//     allows m sites together, so it costs rho/m² max(m, H), and k of them cost at most rho max(1, H/m).
//   - H <= m, as where H is 1: that is rho. Each share covers its hospital by itself, and what becomes of the vectors
//     afterwards, the sum too, is post-processing. Nothing is assumed of anybody else; and n = m hospitals err together
//     as much as one that adds the whole noise, since n sigma²/m is sigma². In general the error is
//     sqrt(n/max(m, H)) times that.
//   - Only the sum over all is seen, and h >= max(H, k) of its shares are honest: a difference of k/m of the lemma's
//     norm under variance h v costs rho (k/m)² max(m, H)/h, which for H >= m is at most rho, as k <= m and h >= H, and
//     else at most rho k/m, as k <= h. (A sum of h discrete Gaussians on a grid of sigma >= 2^10 is concentrated as one
//     Gaussian but for 10 sum_{k<h} exp(-2 pi² sigma² k/(k+1)) < 10^-1000000: Kairouz, Liu & Steinke 2021,
//     Proposition 14.)
//
// m must never be smaller than at how many hospitals a patient may be, even where fewer are asked: a query that is
// put to the hospitals one after the other then costs rho/m at each. A share is drawn on a grid of 2^-shift on which
// its sigma is at least 2^10, and x is a multiple of the grid: the difference is shifted by whole steps, so Canonne,
// Kamath & Steinke hold for it exactly. Numbers are added on that grid, modulo 2^64, and rounded once:
// post-processing, as is clamping each before it is covered.
//
// # The samplers
//
// Textbook noise in floating point tells the exact answer by its low bits (Mironov 2012). Neither sampler works so.
//
// Gaussian noise is our own (gauss.go): integers of P(z) ~ exp(-z²/(2 sigma²)), drawn exactly, on a grid of 2^-shift
// on which sigma is a whole number, rounded up, of at least 2^20 (by which it is at most a millionth too large). x is
// a multiple of the grid, so adding z to x and rounding to a whole number is post-processing. The draw has no cut and
// no delta, but that a draw beyond 256 sigma, of probability below 2^-40000, is drawn again: that is neglected.
//
// Laplace noise is the library's. It draws an
// integer and multiplies it by a power of two, the granularity g ("Secure Noise Generation", in the library's
// common_docs; the class of attacks and defences is that of Mironov 2012 and Ghosh, Roughgarden & Sundararajan 2009,
// whose two-sided geometric mechanism the Laplace sampler is). This package needs these details:
//
//   - Laplace samples are two-sided geometric of scale (limit*size+g)/epsilon on multiples of g <= 2^-39 scale; that
//     is the scale Distribution tells. For g <= 1 integers are multiples of g, and rounding the sum to an integer is
//     post-processing.
//   - For g > 1 the library would round x to a multiple of g, which may add g to |d_j| in each of any number of
//     coordinates. Such noise is refused.
//   - epsilon is charged as the decimal a person wrote; the library gets the next float64 below.
//
// That the library's pseudo-random bits are random, and that its float64 geometric search is as close as that document
// says, is assumed and not charged.
//
// # Undeclared groups
//
// A group that only one patient has must not be shown, except with probability at most delta: see Noise.Threshold.
// Proof for the whole release: let B be the event that a group only the removed patient has is shown; P(B) <=
// delta_T. Noise is independent between coordinates, so given that B does not happen, what is left are the groups
// that both federations have, to which the lemma applies. So the release is (epsilon, delta+delta_T)-private, and
// delta_T-approximately rho-zCDP. (A group appears at a site by a patient's part of the number of patients, and by no
// other, so whether others have it does not depend on the patient; and who has no part of it there has none in the
// other coordinates, so that a site's answer is the sum over its patients with the removed one and without.)
//
// A norm alone does not bound P(B). A patient in n groups counts 1/sqrt(n) in each, say, and P(any is shown) is about
// n times the noise's tail at T, without end as n grows. What bounds n is Presence.Least: a patient whose parts are
// below it is left out, with all coordinates, which only shortens the vector. With parts c_g of 0 or at least Least, at
// one site sum c_g <= Reach: under L1 limit/w is such a bound, in units of size; under L2, as c_g <= c_g²/Least,
// limit/w divided by Least. Over m sites the parts of one group add up to c with Least <= c <= m*Most, and all
// groups' to m*Reach; so sum f(c) <= m*Reach*max f(c)/c, f(c) being the tail at T - c. Counting each patient by a
// vector of a bounded L2 norm, and the bound on the number of groups that it needs, are those of Gopi et al. 2020
// (weighted Gaussian); Korolova et al. 2009 has the threshold. With a least part of an eighth T is at n = 64*limit
// groups a patient higher by about a tenth than at n = limit: the tail is Gaussian, and its logarithm is what counts.
//
// The threshold is on the noisy count that is released anyway, so selecting costs no epsilon. Among rules that see
// that count it is the best: the noise has a monotone likelihood ratio, so showing exactly the large counts shows a
// group of any size most often that is at most as likely to show a group of one (Neyman & Pearson 1933). A mechanism
// that buys nothing but the selection does better for one group a patient (Desfontaines et al. 2022), by one patient
// in 15 at epsilon 1, by 24 of 133 at 0.1 (TestThresholdBesideTheOptimum); but it would have to pay for the count
// beside, or draw it from a truncated distribution that the library has not.
//
// Where each hospital draws a share of the noise that covers it by itself (H <= m above), each names, of the groups
// that it has, those whose covered number of patients is at least T (Share.Threshold); then it sends what it has
// covered of the groups that any hospital named, a group that it has not with noise on zeros. Proof that this costs rho
// and delta_T in all: think of a hospital's vector over all groups that there could be, each number with its noise. A
// patient's hospitals lose rho/m each by it, whoever reads which part of it and however the next part is chosen after
// the one before: reading is post-processing. Which groups are named is read off the vector as well, but for one thing:
// only groups that the hospital has are. Let D' lack the patient, and let D name by the groups of D' too; then all of
// the above is post-processing of the vector in both. What D does differs from that only if it names a group
// that it has and D' has not, which only the patient makes appear; over all hospitals that has probability at most
// delta_T. So the coordinator may name other groups than any hospital did, and different ones to each, and learns no
// more; but no group is covered twice with different noise.
//
// Where hospitals rely on each other's noise (H > m), a name told by such a share would cost a hospital up to H/m times
// rho/m. There the names are a release of their own, by shares that cover by themselves, and the sums another, with new
// noise; together they cost rho (fragment.Cover.Parts).
//
// # Adding up
//
// Laplace at epsilon is epsilon²/2-zCDP (Bun & Steinke 2016, Proposition 1.4), as Gaussian noise is here, and
// approximate zCDP adds rho and delta (their Section 8). rho-zCDP with delta_T is (EpsilonFromRho(rho, delta'),
// delta'+delta_T)-private for each delta' (Canonne, Kamath & Steinke 2020). Under ZCDP a Budget sets delta' = Delta/2
// and leaves Delta/2 for delta_T, and turns Epsilon into a limit on rho, once and for all. Under Pure, epsilons and
// deltas add up (Dwork & Roth 2014, Theorem 3.16).
//
// Researchers choose the next query, and its epsilon, after seeing answers. Refusing whatever would pass a total that
// was fixed beforehand is a privacy filter, and valid then too: for zCDP by Feldman & Zrnic 2021 (Rényi filter) and,
// with deltas, Whitehouse et al. 2023 (filter for approximate zCDP); for sums of epsilon and delta by Rogers et al.
// 2016. This needs the charge, made durable, before the answer; that is the ledger's part.
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
