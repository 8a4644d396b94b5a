package syntax

import "strings"

// Internal is the name of a column or a relation that the planner makes for itself, where a query's names stand beside
// it. No text writes such a name: it begins with a blank, and a quoted name that does is refused.
func Internal(what string) string { return internal + what }

// IsInternal reports whether a name is made by Internal.
func IsInternal(name string) bool { return strings.HasPrefix(name, internal) }

const internal = " "
