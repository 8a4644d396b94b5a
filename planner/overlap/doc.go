// Package overlap finds how released numbers relate to each other. It compares the expressions that they are made of
// and reads no data:
//
//   - rows.go: whether two releases read the same rows. Columns of derived relations are replaced by expressions over
//     the tables' columns, so it does not matter through which subqueries the rows are read;
//   - parts.go: whether one partial aggregate is a part of another, such as a count with a further condition.
//
// It may miss a relation, and a caller must do without. A relation that it finds holds for every patient.
package overlap
