// Package lifetable reads the table functions KAPLAN_MEIER and INCIDENCE_RATE. It writes what they need from each
// subject as terms and expressions over one row: whether the event happened, the time's bucket in a life table, and
// events by person-time. Package planner plans the query of the subjects; package estimate computes the curve.
package lifetable
