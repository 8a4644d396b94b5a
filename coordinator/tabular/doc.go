// Package tabular is an answer as a flat table, for the forms that have no nested
// values: CSV, Arrow, the PostgreSQL protocol. Where intervals are asked for, a
// noisy number x takes three columns, x, x_low and x_high. What else an answer says,
// its cost and who gave it, are its Facts, one JSON object for all forms.
package tabular
