// Package sqltoken reads SQL into tokens. Any text has tokens, also one that is no SQL: what does not end, ends with
// the text. So a shell can colour what is half written, and a door can tell one statement from the next. What a token
// means, and which are refused, is for the reader to say: planner/syntax reads by the SQL standard, and strictly.
package sqltoken
