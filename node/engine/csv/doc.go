// Package csv reads the CSV files of a hospital as it declares them (Settings), and says what of them does not fit.
//
// # One line, one record
//
// Nothing is guessed from rows. A line feed ends a record, whatever stands in the line: what one patient's line holds
// changes how that line is read and no other one. A line that does not fit is no record and is counted:
//
//   - it has more or fewer fields than the header,
//   - a quoted field does not end in it,
//   - it is not of the encoding, or holds U+0000, or a carriage return outside of quotes that does not end it,
//   - it is longer than 16 MiB.
//
// A field is quoted if its first character is the quote. What stands between a closing quote and the next delimiter
// belongs to the field, as spreadsheets and most programs read it; such lines are read, and counted as odd. An empty
// line is no record.
//
// With Multiline a record is what RFC 4180 says, read strictly: a file in which a quote is where it cannot be, or
// does not end, is read by nobody.
//
// # Reading and counting are one
//
// A Scanner is what queries read by and what Count counts by, so that
//
//	lines = rows + rejected
//
// holds whatever columns a query reads. Its memory is one line and a buffer. No error holds a part of a file but the
// names of columns.
package csv
