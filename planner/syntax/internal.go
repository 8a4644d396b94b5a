package syntax

import "strings"

// Internal makes a name for a column or a relation that the planner adds beside the query's names. No SQL text can
// contain such a name: it begins with a blank, and a quoted name that begins so is refused.
func Internal(what string) string { return internal + what }

// IsInternal reports whether Internal made the name.
func IsInternal(name string) bool { return strings.HasPrefix(name, internal) }

const internal = " "
