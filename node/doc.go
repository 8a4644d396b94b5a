// Package node is a hospital's daemon. It verifies what a coordinator asks, reserves and charges the loss in its own
// ledger, lets its engine compute the partial aggregates, and sends nothing else.
//
// # The protocol
//
// Arrow Flight over mutual TLS 1.3, at its own address or over connections that the node opens (package outward). The
// peer's certificate must have the role coordinator. internal/fragment defines the bodies and which versions of
// requests are read.
//
//	DoAction prepare   fragment.Request -> fragment.Prepared: checked, priced, reserved
//	DoAction explain   fragment.Request -> fragment.Explained; costs and changes nothing
//	DoAction abandon   reservation -> nothing: given back unused
//	DoAction describe  nothing -> Description
//	DoAction charges   study.ChargesAfter -> study.Charges: what was charged here, for a coordinator that lost its ledger
//	DoGet              reservation -> the partial aggregates, as Fragment.Schema says, or covered ones, as
//	                   fragment.CoveredSchema says; once
//	DoExchange         reservation -> seal.Member: done; []seal.Member -> covered numbers, masked for these; once
//
// A reservation belongs to the coordinator that prepared it. It expires after Limits.Reservation and is kept in memory
// only. After a restart it is gone, and the ledger gives its loss back.
//
// # The way of a query
//
//	prepare  decode -> same catalog? -> fragment.Check -> noise covers the proof? -> limits -> engine compiles
//	         -> study, researcher -> own price, cap of one query -> data verified? -> ledger reserves
//	execute  take the reservation -> wait for a turn -> same data? -> ledger charges, on the disk
//	         -> engine runs -> batches leave -> still the same data? -> ledger records what left
//
// In a sealed study, nothing leaves before the numbers are covered with this node's own noise (seal.go). They leave at
// a tick of a time grid.
//
// The proofs use the catalog's statements on keys and on rows per patient. The node compares the data with them when it
// starts and whenever the data changes. It computes nothing over a table that contradicts the catalog. But no bound
// relies on this: an engine ensures the statement for the rows that it reads, or does not use it (package engine).
//
// The node does not rely on a coordinator's word about who may ask what. Its own configuration decides, and it refuses
// what the configuration does not mention.
//
// # What crosses
//
// A refusal is a gRPC status whose message is "CODE: text"; each code has a fixed text (see Code). The exact reason
// stays in the node's own log and ledger. Of an engine's error, even the log has only the kind, because engines quote
// values.
package node
