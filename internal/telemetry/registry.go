package telemetry

import (
	"cmp"
	"runtime/debug"

	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// Build names the running binary.
type Build struct{ Version, Commit string }

// release is set with -ldflags -X in a build without version control, such as the Dockerfile's; otherwise it is empty.
var release string

// Running returns what is known of this binary.
func Running() Build {
	b := Build{Version: cmp.Or(release, "(devel)")}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if release == "" && info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	return b
}

// Extent says how much of its process a daemon shows.
type Extent int

const (
	// Public shows only those metrics of the process that do not depend on its data. CPU, memory, network and
	// goroutines of a coordinator reveal how many groups the hospitals found, and when each was ready.
	Public Extent = iota
	// Whole shows all metrics of the process, for a custodian at the hospital.
	Whole
)

// public lists the metrics of the process that depend on no data.
var public = []string{"process_start_time_seconds", "process_open_fds", "process_max_fds", "go_info"}

// Gatherer collects a daemon's metrics and those of its process.
func Gatherer(of prometheus.Collector, build Build, extent Extent) prometheus.Gatherer {
	own, process := prometheus.NewPedanticRegistry(), prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "intramuros_build_info", Help: "1, with the running version.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit},
	})
	info.Set(1)
	own.MustRegister(of, info)
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if extent == Whole {
		return prometheus.Gatherers{own, process}
	}
	return prometheus.Gatherers{own, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := process.Gather()
		return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return !slices.Contains(public, f.GetName()) }), err
	})}
}
