package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node/engine/duckdb"
)

// roles are the jobs that this program runs in processes of its own.
var roles = map[string]worker.Role{duckdb.RoleName: duckdb.Role, dictionary.RoleName: dictionary.Role}

var descRestarts = prometheus.NewDesc("intramuros_worker_restarts_total",
	"Processes of the embedded database that ended and were replaced, by why: memory, deadline, cancelled, lost, broken.", []string{"reason"}, nil)

// restarts counts how often workers of a daemon were replaced.
type restarts struct {
	mu    sync.Mutex
	pools []func(worker.Reason) uint64
}

func (r *restarts) add(pool func(worker.Reason) uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pools = append(r.pools, pool)
}

// Describe implements prometheus.Collector.
func (r *restarts) Describe(to chan<- *prometheus.Desc) { to <- descRestarts }

// Collect implements prometheus.Collector. A daemon without workers has no such metric.
func (r *restarts) Collect(to chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pools) == 0 {
		return
	}
	for _, why := range worker.Reasons {
		n := uint64(0)
		for _, pool := range r.pools {
			n += pool(why)
		}
		to <- prometheus.MustNewConstMetric(descRestarts, prometheus.CounterValue, float64(n), string(why))
	}
}

// collectors is several collectors as one.
type collectors []prometheus.Collector

// Describe implements prometheus.Collector.
func (c collectors) Describe(to chan<- *prometheus.Desc) {
	for _, each := range c {
		each.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (c collectors) Collect(to chan<- prometheus.Metric) {
	for _, each := range c {
		each.Collect(to)
	}
}
