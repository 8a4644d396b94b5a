package telemetry

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

// Config is the part of a daemon's configuration that this package reads; it is inline there. The zero value shows
// nothing.
type Config struct {
	Metrics Listener `yaml:"metrics"`
	Tracing Tracing  `yaml:"tracing"`
	Debug   Listener `yaml:"debug"` // loopback only
}

// Listener is an address where something is served over HTTP.
type Listener struct {
	Listen string `yaml:"listen"` // host:port; empty: nowhere
}

// Tracing is the destination of spans: an OTLP collector over gRPC.
type Tracing struct {
	Endpoint string `yaml:"endpoint"` // https://host:port, or http:// on loopback; empty: nowhere
	CA       string `yaml:"ca"`       // PEM file of the collector's authority; empty: the system's
}

// Validate lists every fault, one per line.
func (c Config) Validate() error {
	var problems []error
	if c.Metrics.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Metrics.Listen); err != nil {
			problems = append(problems, errors.New("`metrics.listen` must be host:port, such as 127.0.0.1:9464"))
		}
	}
	if c.Debug.Listen != "" && !Loopback(c.Debug.Listen) {
		problems = append(problems, fmt.Errorf("`debug.listen` is %q; profiles are served on loopback only, such as 127.0.0.1:6060", c.Debug.Listen))
	}
	if err := c.Tracing.validate(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (t Tracing) validate() error {
	if t.Endpoint == "" {
		if t.CA != "" {
			return errors.New("`tracing.ca` is set and `tracing.endpoint` is not")
		}
		return nil
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Host == "" || u.Port() == "" || u.Scheme != "https" && (u.Scheme != "http" || !Loopback(u.Host)) {
		return errors.New("`tracing.endpoint` must be like https://collector.example.org:4317; http:// only on loopback")
	}
	return nil
}

// Loopback reports whether only this machine can reach host:port.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
