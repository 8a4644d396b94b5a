// Package overlap tells what released numbers are of each other by the expressions that they are made of, without data:
//
//   - rows.go: whether two releases read the same rows. Columns of derived relations stand as what they are of the
//     tables' columns, so that it makes no difference through which queries the rows are read;
//   - parts.go: whether one partial aggregate is a part of another, as a count with a further condition is.
//
// What it does not find to be the same may be, all the same: a caller does without. What it finds holds for every
// patient.
package overlap
