// Package enginetest is the test suite for all engines: the same data, the same fragments, and answers that follow from
// internal/fragment alone. An engine's test fills a database of its own kind and calls Run.
package enginetest
