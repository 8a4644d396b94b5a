package estimate

import "math"

// Estimates are computed from noisy numbers x and from c, the centers that these were measured from. A count is a
// divisor, so a count below 1 counts as 1.

// First is a count or a sum as it is.
func First(x, _ []float64) float64 { return x[0] }

// Mean is the centred sum x[0] divided by the count x[1], plus the center.
func Mean(x, c []float64) float64 { return c[0] + x[0]/math.Max(1, x[1]) }

// Variance is the mean square minus the squared mean, both about the centre of the bounds. The count is x[n], the
// centred sum x[sum], the sum of squares x[square].
func Variance(x, c []float64, sum, square, n int) float64 {
	count := math.Max(1, x[n])
	m := x[sum] / count
	return math.Max(0, c[square]+x[square]/count-m*m)
}

// Covariance is the mean product minus the product of the means. x[0] is the count, x[1] and x[2] are the sums of the
// two values, x[3] is the sum of their products.
func Covariance(x, c []float64) float64 {
	n := math.Max(1, x[0])
	return c[3] + x[3]/n - x[1]/n*(x[2]/n)
}

// Bessel is n/(n-1), which turns the variance of a population into that of a sample. n below 2 counts as 2.
func Bessel(n float64) float64 {
	n = math.Max(2, n)
	return n / (n - 1)
}

// Root is the square root. A negative number counts as 0.
func Root(x float64) float64 { return math.Sqrt(math.Max(0, x)) }

// Correlation is Pearson's, from the parts of Covariance and the two sums of squares, x[4] and x[5].
func Correlation(x, c []float64) float64 {
	return Covariance(x, c) / math.Sqrt(Variance(x, c, 1, 4, 0)*Variance(x, c, 2, 5, 0))
}

// Slope is the slope of the regression of the first value on the second, as in REGR_SLOPE(y, x).
func Slope(x, c []float64) float64 { return Covariance(x, c) / Variance(x, c, 2, 5, 0) }

// Intercept is the intercept of the same regression, as in REGR_INTERCEPT(y, x).
func Intercept(x, c []float64) float64 {
	n := math.Max(1, x[0])
	return c[1] + x[1]/n - Slope(x, c)*(c[2]+x[2]/n)
}

// Means are brackets of a group's means: sums divided by the same count. Variances and the like are computed from them.
type Means struct {
	Of     func(i int) Bracket // the mean whose sum is part i; part 0 is the count
	Bessel func() Bracket      // n/(n-1), at most 2
}

// Variance brackets the variance of the value whose sum and sum of squares are these parts.
func (m Means) Variance(sum, square int) Bracket {
	return m.Of(square).Minus(m.Of(sum).squared()).positive()
}

// Covariance brackets the covariance of parts 1 and 2.
func (m Means) Covariance() Bracket { return m.Of(3).Minus(m.Of(1).Times(m.Of(2))) }

// Slope brackets the slope of part 1 on part 2.
func (m Means) Slope() Bracket { return m.Covariance().over(m.Variance(2, 5)) }

// Correlation brackets the correlation of parts 1 and 2.
func (m Means) Correlation() Bracket {
	return m.Covariance().over(m.Variance(1, 4).Times(m.Variance(2, 5)).Root())
}
