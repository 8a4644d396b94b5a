// Package estimate makes released numbers fit each other: series that never fall, tables whose totals are the sums of
// their parts, trees of counts. It is arithmetic on numbers that are public already, so that it costs no privacy; it knows nothing of SQL,
// of plans or of data.
package estimate
