//go:build !unix

package cputime

import (
	"testing"
	"time"
)

var began = time.Now()

// Used is how long this process has run, since this system does not report processor time.
func Used(testing.TB) time.Duration { return time.Since(began) }
