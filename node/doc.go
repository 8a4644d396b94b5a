// Package node is a hospital's daemon: it verifies what a coordinator asks,
// reserves and charges the loss in its own ledger, lets its engine compute the
// partial aggregates, and sends nothing else.
//
// # The protocol
//
// Arrow Flight over mutual TLS 1.3, at an address of its own or over lines that the node makes (package outward); the
// peer's certificate must carry the role coordinator. internal/fragment defines the bodies, and
// which versions of requests are read.
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
// A reservation belongs to the coordinator that prepared it, lives for
// Limits.Reservation and in memory only: after a restart it is gone, and the
// ledger gives its loss back.
//
// # The way of a query
//
//	prepare  decode -> same catalog? -> fragment.Check -> noise covers the proof? -> limits -> engine compiles
//	         -> study, researcher -> own price, cap of one query -> data verified? -> ledger reserves
//	execute  take the reservation -> wait for a turn -> same data? -> ledger charges, on the disk
//	         -> engine runs -> batches leave -> still the same data? -> ledger records what left
//
// Of a sealed study nothing leaves before the numbers are covered with this node's own noise (seal.go), and
// then at a tick of a time grid.
//
// The proofs use what the catalog says of keys and of rows a patient. The data is compared
// with it when the node starts and whenever the data changes, and over a table that contradicts
// it nothing is computed. No bound rests on that: an engine makes sure of it for the rows that
// a statement reads, or does without (package engine).
//
// Nothing that a coordinator says about who may ask what is believed: the
// node's own configuration decides, and what it does not mention is refused.
//
// # What crosses
//
// A refusal is a gRPC status whose message is "CODE: text", and the text is fixed for
// the code (see Code). Why exactly, stands in the node's own log and ledger; of an engine's
// error not even the log has more than its kind, since engines quote values.
package node
