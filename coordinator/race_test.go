//go:build race

package coordinator

func init() { raceDetector = true }
