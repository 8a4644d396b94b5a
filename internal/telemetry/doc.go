// Package telemetry is what a daemon shows to its operators: metrics for Prometheus, health and readiness, traces for
// an OpenTelemetry collector, and profiles.
//
// Contract: all of it is off unless configured. Each daemon decides in its metrics.go what may be counted.
// docs/observability.md lists every metric, and who may read it. A hospital's computing time depends on its data. So a
// node's metrics and profiles are offered on loopback only, and a coordinator's durations are rounded to its answer
// grid.
package telemetry
