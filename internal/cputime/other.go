//go:build !unix

package cputime

import (
	"testing"
	"time"
)

var began = time.Now()

// Used is for how long this process has run: this system does not tell for how long it has computed.
func Used(testing.TB) time.Duration { return time.Since(began) }
