//go:build !unix

package adversary

import (
	"testing"
	"time"
)

var began = time.Now()

// computed is for how long this process has run.
func computed(testing.TB) time.Duration { return time.Since(began) }
