package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The job of the tests.
type (
	testSetup   struct{ Refuse, Name string }
	testRequest struct {
		Do    string
		Text  string
		Times int
	}
	testReply struct {
		Text string
		PID  int
	}
	testServer struct{ setup testSetup }
)

func (s *testServer) Answer(ctx context.Context, q testRequest, reply func(testReply) error) error {
	switch q.Do {
	case "echo":
		for range q.Times {
			if err := reply(testReply{s.setup.Name + q.Text, os.Getpid()}); err != nil {
				return err
			}
		}
	case "obey": // works until it is told to end
		<-ctx.Done()
		return reply(testReply{Text: "obeyed"})
	case "ignore": // works until it is killed
		for {
			time.Sleep(time.Millisecond)
		}
	case "eat":
		for eaten := [][]byte{}; ; {
			b := make([]byte, 4<<20)
			for i := range b {
				b[i] = 1
			}
			eaten = append(eaten, b)
			time.Sleep(time.Duration(len(eaten)/1000) * time.Millisecond)
		}
	case "die": // dies the first time; the file says that it did
		if _, err := os.Stat(q.Text); err == nil {
			return reply(testReply{Text: "lived"})
		}
		if err := os.WriteFile(q.Text, nil, 0o600); err != nil {
			return err
		}
		fallthrough
	case "die always":
		if q.Times > 0 {
			if err := reply(testReply{Text: "began"}); err != nil {
				return err
			}
		}
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "break":
		return errors.New("broken")
	case "see": // reports what a worker has of its parent
		text := strings.Join(os.Environ(), " ") + "|" + strings.Join(os.Args[1:], " ")
		files, err := os.ReadDir("/proc/self/fd")
		for _, f := range files {
			if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil {
				text += "|" + to
			}
		}
		return errors.Join(err, reply(testReply{Text: text}))
	}
	return nil
}

var testRole = Serve(func(_ context.Context, s testSetup) (Server[testRequest, testReply], error) {
	if s.Refuse != "" {
		return nil, errors.New(s.Refuse)
	}
	return &testServer{s}, nil
})

func TestMain(m *testing.M) {
	Main(map[string]Role{"test": testRole})
	if folder := os.Getenv("TEST_WORKER_PARENT"); folder != "" {
		parent(folder)
	}
	goleak.VerifyTestMain(m)
}

// log is a log that can be read while it is written.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type testPool = Pool[testSetup, testRequest, testReply]

func open(t testing.TB, c Config) *testPool {
	t.Helper()
	c.Role = "test"
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	p, err := Open[testSetup, testRequest, testReply](t.Context(), c, testSetup{Name: "I say "})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// ask returns the replies to a request.
func ask(ctx context.Context, p *testPool, q testRequest) (replies []testReply, err error) {
	err = p.Do(ctx, q, func(r testReply) error {
		replies = append(replies, r)
		return nil
	})
	return replies, err
}

// pid is the process that answers now. With one seat it is the only one.
func pid(t testing.TB, p *testPool) int {
	t.Helper()
	got, err := ask(t.Context(), p, testRequest{Do: "echo", Text: "here", Times: 1})
	if err != nil || len(got) != 1 || got[0].Text != "I say here" {
		t.Fatalf("%v, %v", got, err)
	}
	return got[0].PID
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func TestAnswers(t *testing.T) {
	p := open(t, Config{Most: 1})
	long := strings.Repeat("x", 1<<20)
	got, err := ask(t.Context(), p, testRequest{Do: "echo", Text: long, Times: 50})
	if err != nil || len(got) != 50 || got[49].Text != "I say "+long {
		t.Errorf("%d replies, %v", len(got), err)
	}
	if a, b := got[0].PID, pid(t, p); a != b || a == os.Getpid() {
		t.Errorf("processes %d and %d; a worker is kept, and is not this process", a, b)
	}
	// The caller's own error ends the request, and the process continues.
	own := errors.New("enough")
	if err := p.Do(t.Context(), testRequest{Do: "echo", Times: 1000}, func(testReply) error { return own }); !errors.Is(err, own) {
		t.Error(err)
	}
	if pid(t, p) != got[0].PID {
		t.Error("an error of the caller's ended the worker")
	}
	for range 30 { // the last message of a process arrives, however soon the process ends
		_, err = Open[testSetup, testRequest, testReply](t.Context(), Config{Role: "test", Log: slog.New(slog.DiscardHandler)}, testSetup{Refuse: "no such file"})
		var refused *Refused
		if !errors.As(err, &refused) || refused.Error() != "no such file" {
			t.Fatalf("a setup that does not open gives %v", err)
		}
	}
}

// TestKilled: whatever a worker does, it ends within its limit, and the pool says why. Another process answers the next
// request, and the log says no more than the reason.
func TestKilled(t *testing.T) {
	for _, test := range []struct {
		name   string
		do     string
		why    Reason
		is     error
		within time.Duration
	}{
		{"deadline", "ignore", Deadline, context.DeadlineExceeded, 3 * time.Second},
		{"cancel", "ignore", Cancelled, context.Canceled, 3 * time.Second},
		{"memory", "eat", Memory, nil, 20 * time.Second},
		{"killed by another", "die always", Lost, nil, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lines log
			var ended []int
			var mu sync.Mutex
			p := open(t, Config{Most: 1, Memory: 200 << 20, Log: slog.New(slog.NewTextHandler(&lines, nil)), Gone: func(pid int) {
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, pid)
			}})
			before := pid(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch test.why {
			case Deadline:
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
			case Cancelled:
				time.AfterFunc(50*time.Millisecond, cancel)
			}
			begun := time.Now()
			_, err := ask(ctx, p, testRequest{Do: test.do, Text: "a secret"})
			took := time.Since(begun)
			var e *Ended
			if !errors.As(err, &e) || e.Reason != test.why || test.is != nil && !errors.Is(err, test.is) || took > test.within {
				t.Errorf("after %v: %v", took, err)
			}
			after := pid(t, p)
			if after == before {
				t.Error("the same process answers")
			}
			eventually(t, "the killed process is gone", func() bool { return gone(before) })
			eventually(t, "the clean-up", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(ended) > 0 && ended[0] == before
			})
			want := uint64(1)
			if test.why == Lost {
				want = 2 // it was tried again
			}
			if n := p.Restarts(test.why); n != want {
				t.Errorf("%d restarts are counted, not %d", n, want)
			}
			if s := lines.String(); !strings.Contains(s, "reason="+string(test.why)) || strings.Contains(s, "secret") {
				t.Errorf("the log says %q", s)
			}
		})
	}
}

// TestObeyed: a request that ends when it is told to end costs no process.
func TestObeyed(t *testing.T) {
	p := open(t, Config{Most: 1})
	before := pid(t, p)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		got, err := ask(ctx, p, testRequest{Do: "obey"})
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) || len(got) > 0 && got[0].Text != "obeyed" {
			t.Errorf("%v, %v", got, err)
		}
		// A late cancel cancels nothing else.
		if again := pid(t, p); again != before {
			t.Fatalf("process %d answers, not %d", again, before)
		}
	}
}

// TestOthersGoOn: two requests that never end hold two of three processes. Other requests are still answered at once.
func TestOthersGoOn(t *testing.T) {
	p := open(t, Config{Most: 3})
	ctx, cancel := context.WithCancel(t.Context())
	var stuck sync.WaitGroup
	for range 2 {
		stuck.Go(func() {
			var e *Ended
			if _, err := ask(ctx, p, testRequest{Do: "ignore"}); !errors.As(err, &e) || e.Reason != Cancelled {
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		begun := time.Now()
		pid(t, p)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("a request beside them took %v", took)
		}
	}
	cancel()
	stuck.Wait()
	// A caller that waits for a process stops waiting when its time is over.
	one := open(t, Config{Most: 1})
	busy, free := context.WithCancel(t.Context())
	stuck.Go(func() { _, _ = ask(busy, one, testRequest{Do: "ignore"}) })
	eventually(t, "the only process is busy", func() bool { return len(one.seats) == 1 })
	short, done := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer done()
	if _, err := ask(short, one, testRequest{Do: "echo", Times: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	free()
	stuck.Wait()
}

// TestRepeated: a request whose process is killed from outside is tried once more, but not after it has sent a part of
// its answer.
func TestRepeated(t *testing.T) {
	p := open(t, Config{Most: 1})
	got, err := ask(t.Context(), p, testRequest{Do: "die", Text: filepath.Join(t.TempDir(), "one")})
	if err != nil || len(got) != 1 || got[0].Text != "lived" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = ask(t.Context(), p, testRequest{Do: "die", Text: filepath.Join(t.TempDir(), "two"), Times: 1})
	var e *Ended
	if !errors.As(err, &e) || e.Reason != Lost || len(got) != 1 {
		t.Errorf("after a part of the answer: %v, %v", got, err)
	}
	if pid(t, p); p.Restarts(Lost) != 2 {
		t.Errorf("%d restarts", p.Restarts(Lost))
	}
}

// TestBroken: a process that says that it is unusable is replaced.
func TestBroken(t *testing.T) {
	p := open(t, Config{Most: 1})
	before := pid(t, p)
	if _, err := ask(t.Context(), p, testRequest{Do: "break"}); err != nil {
		t.Error(err)
	}
	if pid(t, p) == before || p.Restarts(Broken) != 1 {
		t.Errorf("%d restarts", p.Restarts(Broken))
	}
}

// TestStopped: a process that the system has stopped neither reads nor ends, and delays nobody.
func TestStopped(t *testing.T) {
	p := open(t, Config{Most: 1})
	before := pid(t, p)
	if err := syscall.Kill(before, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	// The request is larger than the buffer of a pipe.
	if _, err := ask(ctx, p, testRequest{Do: "echo", Text: strings.Repeat("x", 1<<20), Times: 1}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 3*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	if pid(t, p) == before {
		t.Error("a stopped process answers")
	}
}

// TestInheritsNothing: a worker has no environment, no argument except the role, and no file of the parent.
func TestInheritsNothing(t *testing.T) {
	t.Setenv("TEST_SECRET", "hush")
	ledger, err := os.Create(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	p := open(t, Config{Most: 1})
	got, err := ask(t.Context(), p, testRequest{Do: "see"})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if parts := strings.Split(got[0].Text, "|"); parts[0] != "" || parts[1] != argument+" test" || strings.Contains(got[0].Text, "ledger") || strings.Contains(got[0].Text, "socket") {
		t.Errorf("a worker sees %s", got[0].Text)
	}
}

// TestNoOrphan: a killed parent leaves no worker, not even a busy one.
func TestNoOrphan(t *testing.T) {
	folder := t.TempDir()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "TEST_WORKER_PARENT="+folder)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var workers []int
	eventually(t, "the workers of another parent", func() bool {
		b, _ := os.ReadFile(filepath.Join(folder, "workers"))
		workers = nil
		for _, field := range strings.Fields(string(b)) {
			var n int
			if _, err := fmt.Sscan(field, &n); err == nil {
				workers = append(workers, n)
			}
		}
		return len(workers) == 2
	})
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	for _, n := range workers {
		eventually(t, "a worker without a parent is gone", func() bool { return gone(n) || zombie(n) })
	}
}

// zombie reports that the process has ended but that its parent has not waited for it, which is not our task.
func zombie(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Contains(string(b), ") Z ")
}

// parent is the process that TestNoOrphan kills: it has an idle worker and one that never ends.
func parent(folder string) {
	p, err := Open[testSetup, testRequest, testReply](context.Background(), Config{Role: "test", Most: 2, Log: slog.New(slog.DiscardHandler)}, testSetup{})
	if err != nil {
		panic(err)
	}
	first, err := ask(context.Background(), p, testRequest{Do: "echo", Times: 1})
	if err != nil {
		panic(err)
	}
	go func() { _, _ = ask(context.Background(), p, testRequest{Do: "ignore"}) }()
	for len(p.seats) == 0 {
		time.Sleep(time.Millisecond)
	}
	second, err := ask(context.Background(), p, testRequest{Do: "echo", Times: 1})
	if err != nil {
		panic(err)
	}
	text := fmt.Sprintf("%d %d", first[0].PID, second[0].PID)
	if err := os.WriteFile(filepath.Join(folder, "partial"), []byte(text), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(filepath.Join(folder, "partial"), filepath.Join(folder, "workers")); err != nil {
		panic(err)
	}
	select {}
}

func BenchmarkDo(b *testing.B) {
	p := open(b, Config{Most: 1, Memory: 1 << 30})
	for b.Loop() {
		if _, err := ask(b.Context(), p, testRequest{Do: "echo", Text: "x", Times: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		open(b, Config{Most: 1}).Close()
	}
}
