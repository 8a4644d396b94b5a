// Package value has one typed SQL value, as a catalog declares it, a fragment carries it as a literal, and a release
// shows it.
//
// A Value is comparable with ==, so it can be a map key. A float is finite or NULL: NaN and the infinities do not exist
// in Intramuros' SQL, because no two engines agree on them. For the same reason a date or timestamp is within the years
// 1 to 9999, or NULL.
package value
