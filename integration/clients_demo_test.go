package integration

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen keeps the output of a program, for reading while the program still writes.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.b.String(), "\r", "")
}

// TestClientsDemo does what the demonstration asks of people at a terminal: it pastes each of the commands.
func TestClientsDemo(t *testing.T) {
	installed := clients(t)
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script, which gives a program a terminal, is not installed (Debian: bsdutils)")
	}
	folder := filepath.Join(t.TempDir(), "demo")
	// exec replaces the shell, because a shell in between would die of Ctrl-C itself and report it.
	c := exec.Command("script", "-qefc", "exec '"+binary+"' demo --patients 1000 --keep '"+folder+"'", "/dev/null")
	c.SysProcAttr = ownGroup()
	var out screen
	c.Stdout, c.Stderr = &out, &out
	keys, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer func() { _ = c.Process.Kill() }()
	for deadline := time.Now().Add(3 * time.Minute); !strings.Contains(out.text(), "\n  authority "); time.Sleep(200 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended: %v\n%s", err, out.text())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo does not come to its end:\n%s", out.text())
		}
	}
	_, invitation, _ := strings.Cut(out.text(), "from another terminal:\n")
	pasted := map[string]bool{}
	for _, block := range strings.Split(invitation, "\n\n") {
		command := strings.Trim(block, "\n")
		if command == "" || strings.HasPrefix(command, " ") {
			continue
		}
		name := regexp.MustCompile(`\b(query|curl|psql|python3)\b`).FindString(command)
		pasted[name] = true
		t.Run(name, func(t *testing.T) {
			c := exec.Command("bash", "-euc", command)
			c.Env = append(os.Environ(), "PATH="+filepath.Dir(installed.python())+":"+os.Getenv("PATH"), "PSQLRC=/dev/null")
			b, err := c.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s\n%s", err, command, b)
			}
			if want := map[string]string{"query": "2019", "curl": "patients", "psql": "deaths_high", "python3": "n_high"}[name]; !strings.Contains(string(b), want) {
				t.Errorf("no %s in\n%s", want, b)
			}
		})
	}
	if len(pasted) != 4 {
		t.Errorf("the demo tells %v to paste:\n%s", pasted, invitation)
	}
	if _, err := io.WriteString(keys, "\x03"); err != nil { // Ctrl-C
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after Ctrl-C: %v\n%s", err, out.text())
		}
	case <-time.After(stopTime):
		t.Error("the demo goes on after Ctrl-C")
	}
}
