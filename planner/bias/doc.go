// Package bias tells what an answer is without: how much of the data clipping left out, and how many values a bound
// moved, as numbers with noise say. It reads such numbers and puts them into words; what is measured, and at what
// price, is package planner's.
package bias
