package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// stopTime is how long a daemon may take to end before it is killed. It takes up to 5 s to say goodbye to the others.
const stopTime = 8 * time.Second

// child is one daemon of the demonstration.
type child struct {
	name  string
	log   string // file
	stop  func()
	ended chan struct{} // closed when the process has ended
	pid   int
}

// startChild starts a daemon that runs until stopChildren.
func (d *demo) startChild(ctx context.Context, command, name string) error {
	c := &child{name: name, log: filepath.Join(d.folder, name, "log"), ended: make(chan struct{})}
	log, err := os.OpenFile(c.log, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	process := exec.CommandContext(alive, d.program, command, "--config", filepath.Join(d.folder, name, configFile))
	process.Stdout, process.Stderr = log, log
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = stopTime
	process.SysProcAttr = ownGroup()

	started := make(chan error, 1)
	go func() {
		defer close(c.ended)
		defer log.Close()
		// On Linux, a tied process ends with the thread that started it, so this thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait() // the log says how it ended
		}
	}()
	if err := <-started; err != nil {
		stop()
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	c.pid = process.Process.Pid
	d.children = append(d.children, c)
	return nil
}

// stopChildren ends the daemons, the first one last: that is the coordinator, which the nodes say goodbye to.
func (d *demo) stopChildren() {
	if len(d.children) == 0 {
		return
	}
	last := len(d.children) - 1
	for _, group := range [][]*child{d.children[:last], d.children[last:]} {
		for _, c := range group {
			c.stop()
		}
		for _, c := range group {
			<-c.ended
		}
	}
}

// ended returns a daemon that has ended, or nil.
func (d *demo) ended() *child {
	for _, c := range d.children {
		select {
		case <-c.ended:
			return c
		default:
		}
	}
	return nil
}

// blame adds the last log lines of a daemon that ended to an error.
func (d *demo) blame(err error) error {
	c := d.ended()
	if c == nil {
		return err
	}
	const most = 2000 // bytes
	log, readErr := os.ReadFile(c.log)
	if readErr != nil || len(log) == 0 {
		return fmt.Errorf("%w\n%s ended and left no log", err, c.name)
	}
	if len(log) > most {
		log = log[len(log)-most:]
		log = log[bytes.IndexByte(log, '\n')+1:]
	}
	return fmt.Errorf("%w\n%s ended; the last of its log:\n%s", err, c.name, indent(string(bytes.TrimSpace(log))))
}
