// Package csv reads a hospital's CSV files by declared settings (Settings), and reports what does not fit.
//
// # One line, one record
//
// Nothing is guessed from rows. A line feed always ends a record. So the content of one patient's line changes how that
// line is read, and no other line. A line that does not fit is not a record and is counted:
//
//   - it has more or fewer fields than the header,
//   - a quoted field does not end in it,
//   - it is not in the declared encoding, or it has U+0000, or a carriage return outside quotes other than at its end,
//   - it is longer than 16 MiB.
//
// A field is quoted if its first character is the quote. Text between a closing quote and the next delimiter belongs to
// the field, as in spreadsheets and most programs. Such lines are read and counted as odd. An empty line is not a
// record.
//
// With Multiline, records follow RFC 4180 strictly. A file with a quote in a wrong place or without its closing quote
// is not read at all.
//
// # Reading and counting are one
//
// A Scanner reads the records of queries and of Count, so that
//
//	lines = rows + rejected
//
// holds whatever columns a query reads. It needs memory for one line and a buffer. Errors quote nothing from a file
// except names of columns.
package csv
