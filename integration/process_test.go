package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopTime is how long a daemon may take to stop.
const stopTime = 25 * time.Second

// process is a daemon, in a process group of its own.
type process struct {
	command *exec.Cmd
	log     string // a file; processes of the same name append to it
	begin   int64  // where this process's part begins
	ended   chan struct{}
	err     error // of Wait; valid after ended is closed
}

func startProcess(log string, args ...string) (*process, error) {
	return startProgram(binary, log, args...)
}

func startProgram(program, log string, args ...string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.Command(program, args...), log: log, begin: before.Size(), ended: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = f, f
	p.command.SysProcAttr = ownGroup()
	// Go schedules as if a daemon were alone. A machine with two hundred of them needs less.
	p.command.Env = append(os.Environ(), "GOMAXPROCS=2", "GORACE=halt_on_error=1")
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) {
	_ = syscall.Kill(-p.command.Process.Pid, s) // it may have ended
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends it immediately, and waits.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// stop asks it to end. It must end with exit code 0.
func (p *process) stop() error {
	if !p.running() {
		return fmt.Errorf("had ended before: %w", p.err)
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopTime):
		p.kill()
		return fmt.Errorf("did not stop within %v of SIGTERM", stopTime)
	}
}

// tail is the end of its log.
func (p *process) tail(lines int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// logged waits until its log contains the text.
func (p *process) logged(text string, within time.Duration) bool {
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		b, _ := os.ReadFile(p.log)
		if bytes.Contains(b[min(int(p.begin), len(b)):], []byte(text)) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// ports gives out ports that are free for TCP and UDP. They are below the range from which systems take ports for
// outgoing connections, so that no daemon's connection takes the port of one that has yet to start.
var ports = struct {
	sync.Mutex
	next int
}{next: 20000 + os.Getpid()%5000}

func freeAddress(t testing.TB) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 5000 {
		if ports.next++; ports.next >= 32000 {
			ports.next = 20000
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.next))
		if portIsFree(address) == nil {
			return address
		}
	}
	t.Fatal("no free port between 20000 and 32000")
	return ""
}

func portIsFree(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", address)
	if err == nil {
		err = u.Close()
	}
	return errors.Join(err, l.Close())
}
