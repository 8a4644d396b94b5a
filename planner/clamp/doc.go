// Package clamp finds CLAMP(x, lower, upper) in expressions over one row. It tells which values CLAMP moves to the
// nearer bound. It knows nothing of SQL text, plans or noise: package planner plans the measurement and words the
// warnings.
package clamp
