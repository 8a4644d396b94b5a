// Package telemetry is what a daemon shows those who run it: metrics for Prometheus,
// health and readiness, traces for an OpenTelemetry collector, profiles.
//
// Contract: all of it is off unless configured. What may be counted is settled by the
// daemons, each in its metrics.go; docs/observability.md lists every metric, and who may
// read it. How long a hospital computes depends on its data, so that a node's metrics and
// profiles are offered on loopback only, and a coordinator's durations stand on its answer
// grid.
package telemetry
