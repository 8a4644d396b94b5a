package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is the other end of a pseudo-terminal, with everything shown on it.
type terminal struct {
	t    *testing.T
	far  *os.File
	mu   sync.Mutex
	text strings.Builder
}

// startTerminal runs a program on a terminal with 80 columns.
func startTerminal(t *testing.T, c *exec.Cmd) *terminal {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { far.Close() })
	fd := int(far.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	mustDo(t, err)
	mustDo(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	mustDo(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 80}))
	near, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	mustDo(t, err)
	c.Stdin, c.Stdout, c.Stderr = near, near, near
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	mustDo(t, c.Start())
	near.Close()
	x := &terminal{t: t, far: far}
	go func() { _, _ = io.Copy(x, far) }() // ends when the program does
	return x
}

func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.Write(p)
}

// see waits until the text is on the screen, and then clears it.
func (x *terminal) see(text string) string {
	x.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		shown := x.text.String()
		if at := strings.Index(shown, text); at >= 0 {
			x.text.Reset()
			x.text.WriteString(shown[at+len(text):])
			x.mu.Unlock()
			return shown[:at+len(text)]
		}
		x.mu.Unlock()
	}
	x.t.Fatalf("%q never came:\n%s", text, x.text.String())
	return ""
}

func (x *terminal) press(keys string) {
	x.t.Helper()
	_, err := io.WriteString(x.far, keys)
	mustDo(x.t, err)
}

// TestShellTerminal is a person at a terminal: completion, an answer, a mistake, Ctrl-C during a query, history, and
// leaving.
func TestShellTerminal(t *testing.T) {
	d := &desk{studies: []string{"diabetes"}, hang: make(chan struct{}, 2)}
	state := t.TempDir()
	serve(t, d.ServeHTTP, func(token string) {
		c := exec.Command("intramuros", "shell", "--token-file", token, "--study", "diabetes")
		c.Env = append(os.Environ(), "XDG_STATE_HOME="+state, "TERM=xterm", "NO_COLOR=")
		x := startTerminal(t, c)
		x.see("alice at gironde, study diabetes.")
		x.see("diabetes=> ")
		x.press("select sex, count(*) from pers\t group by sex;\r")
		if shown := x.see("75 %"); !strings.Contains(shown, "from person group by sex") || !strings.Contains(shown, "1041 ± 21") {
			t.Errorf("after completion:\n%s", shown)
		}
		x.see("diabetes=> ")
		x.press("select count(*)\r")
		x.see("diabetes-> ")
		x.press("from person where agee > 3;\r")
		x.see("\x1b[1;31mUNKNOWN_COLUMN\x1b[0m: there is no column agee")
		x.see("\x1b[1;31m^^^^\x1b[0m")
		x.see("diabetes=> ")
		x.press("select slow;\r")
		x.see("1 running")
		<-d.hang
		x.press("\x03")
		x.see("Ctrl-C again leaves")
		x.see("canceled; what was charged by then stays charged")
		<-d.hang // the coordinator was told
		x.see("diabetes=> ")
		x.press("\x1b[A\r") // the previous line again
		x.see("1 running")
		<-d.hang
		x.press("\x03")
		x.see("canceled")
		x.see("diabetes=> ")
		x.press("\\q\r")
		mustDo(t, c.Wait())
	})
	history, err := os.ReadFile(filepath.Join(state, "intramuros", "history"))
	mustDo(t, err)
	if want := "select sex, count(*) from person group by sex;\nselect count(*) from person where agee > 3;\nselect slow;\n\\q\n"; string(history) != want {
		t.Errorf("history is\n%s", history)
	}
	info, err := os.Stat(filepath.Join(state, "intramuros", "history"))
	mustDo(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the history: %v", info.Mode())
	}
}

// A terminal without colours gets none.
func TestNoColor(t *testing.T) {
	serve(t, (&desk{studies: []string{"s"}}).ServeHTTP, func(token string) {
		for _, off := range []string{"NO_COLOR=1", "TERM=dumb"} {
			c := exec.Command("intramuros", "query", "--token-file", token, "SELECT agee")
			c.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=", off)
			x := startTerminal(t, c)
			if shown := x.see("did you mean age?"); strings.Contains(shown, "\x1b[1") {
				t.Errorf("%s: %q", off, shown)
			}
			_ = c.Wait() // it is refused
		}
	})
}
