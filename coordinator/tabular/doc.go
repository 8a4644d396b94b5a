// Package tabular presents an answer as a flat table, for forms without nested values: CSV, Arrow, the PostgreSQL
// protocol. If intervals are asked for, a noisy number x takes three columns: x, x_low and x_high. The rest of an
// answer, such as its cost and its hospitals, is its Facts: one JSON object for all forms.
package tabular
