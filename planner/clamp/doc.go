// Package clamp finds CLAMP(x, lower, upper) in expressions over one row, and tells which values it moves to the nearer
// bound. It knows nothing of text, of plans or of noise: what is planned of it, and told, is package planner's.
package clamp
