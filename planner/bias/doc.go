// Package bias describes the bias of an answer: how much of the data clipping left out, and how many values a bound
// moved. It reads noisy measurements and puts them into words. Package planner decides what is measured and at what
// price.
package bias
