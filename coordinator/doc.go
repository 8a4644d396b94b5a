// Package coordinator answers queries in a federation. A query goes through these steps:
//
//	admit    the researcher's token, the study, its dates and caps      study.go
//	plan     SQL to fragment, noise and output; pure                    package planner
//	gather   which hospitals are there and agree on the catalog         roster.go; those without a port: package outward
//	reserve  the loss in the coordinator's own ledger                   account.go
//	         the hospitals' own budgets and limits, as far as they told     narrowest.go
//	prepare  every hospital checks, prices and reserves for itself      fanout.go, node.go
//	charge   the coordinator's ledger, durably, before any hospital runs account.go
//	execute  every hospital streams partial aggregates                  fanout.go, merge.go
//	release  noise on every partial aggregate, selection                release.go
//	         in a sealed study: the sum of what hospitals have covered  seal.go
//	record   noisy cells are stored, to be given again at no cost       stored.go
//
// If the ledger is lost, it is restored from those of the hospitals (rebuild.go).
//
// Contract: only noisy answers and public facts (names, codes, plans, prices) leave. A query's cost is charged before a
// hospital runs it, and stays charged whatever happens then. A refusal before the charge costs nothing and leaves no
// reservation at any hospital. The same plan over the same data gives the same stored answer.
//
// Every error that a caller gets is an *Error with a stable Code. The front doors in the folders below only translate.
package coordinator
