package main

import (
	"fmt"
	"os"
	"strings"
)

// readMemory passes a process's writable memory to look, in pieces that overlap by 16 bytes.
func readMemory(pid int, look func([]byte)) error {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoMemory, err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoMemory, err)
	}
	defer memory.Close()
	const step = 1 << 20
	buffer := make([]byte, step+16)
	read := 0
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var mode string
		if n, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		for at := from; at < to; at += step {
			n, _ := memory.ReadAt(buffer[:min(uint64(len(buffer)), to-at)], int64(at)) //nolint:gosec // what is not there ends it early
			look(buffer[:n])
			read += n
		}
	}
	if read < step {
		return errNoMemory
	}
	return nil
}
