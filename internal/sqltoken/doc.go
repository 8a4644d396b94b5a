// Package sqltoken reads SQL into tokens. Any text has tokens, even if it is not SQL: an unfinished token ends with the
// text. So a shell can colour an unfinished line, and a door can split statements. The caller decides what a token
// means and which are refused: planner/syntax follows the SQL standard strictly.
package sqltoken
