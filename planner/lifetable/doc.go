// Package lifetable reads the table functions KAPLAN_MEIER and INCIDENCE_RATE, and writes what they ask of each subject
// as terms and expressions over one row: whether the event was there, in which bucket of a life table the time is, and
// events by person-time. Package planner plans the query of the subjects; package estimate makes the curve.
package lifetable
