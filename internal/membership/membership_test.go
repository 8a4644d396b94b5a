package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"
	"github.com/intramuros/intramuros/internal/pki"
	"go.uber.org/goleak"
)

// TestMain looks for leaked goroutines. memberlist does not wait for its own loops: a running probe ends with its
// interval, so the test waits a little.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		var err error
		for range 10 {
			if err = goleak.Find(); err == nil {
				break
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var key = bytes.Repeat([]byte{7}, keySize)

// journal is a log that tests can read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) count(part string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), part)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func node(name string) Member {
	return Member{Role: pki.RoleNode, Name: name, Flight: name + ".example.org:8815",
		Catalog: strings.Repeat("ab", 16), DataVersion: "2026-01-31"}
}

func config(j *journal, join ...string) Config {
	return Config{Federation: "onco", Bind: "127.0.0.1:0", Join: join, Key: key, Logger: j.logger()}
}

// run starts a member that probes and gossips faster than in production, so that a death is noticed within two seconds.
// It closes the member with the test.
func run(t *testing.T, c Config, self Member) *Membership {
	t.Helper()
	meta, err := encode(self)
	if err != nil {
		t.Fatal(err)
	}
	return runAs(t, c, self, meta)
}

func runAs(t *testing.T, c Config, self Member, meta []byte) *Membership {
	t.Helper()
	r := newRoster(c.Logger, self, meta)
	g, err := gossipConfig(c, self, r)
	if err != nil {
		t.Fatal(err)
	}
	g.ProbeInterval, g.ProbeTimeout = 250*time.Millisecond, 200*time.Millisecond
	g.GossipInterval = 20 * time.Millisecond
	g.SuspicionMult, g.SuspicionMaxTimeoutMult = 4, 2
	m, err := start(t.Context(), g, c.Join, self, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 8 s still not: %s", what)
		}
	}
}

func sees(t *testing.T, m *Membership, want ...Member) {
	t.Helper()
	if want == nil {
		want = []Member{}
	}
	eventually(t, fmt.Sprintf("%s sees %v", m.self.Name, want), func() bool { return cmp.Equal(m.Members(), want) })
}

func TestLife(t *testing.T) {
	t.Parallel()
	var j journal
	lyon, nantes := node("lyon"), node("nantes")
	main := Member{Role: pki.RoleCoordinator, Name: "main", Catalog: lyon.Catalog}
	// The coordinator uses Start, as daemons do.
	a, err := Start(t.Context(), config(&j), main)
	if err != nil {
		t.Fatal(err)
	}
	b, c := run(t, config(&j, a.Addr()), lyon), run(t, config(&j, a.Addr()), nantes)
	sees(t, a, lyon, nantes)
	sees(t, b, main, nantes)
	sees(t, c, lyon, main)

	lyon.DataVersion = "2026-02-28"
	if err := b.Update(t.Context(), lyon); err != nil {
		t.Fatal(err)
	}
	sees(t, a, lyon, nantes)
	sees(t, c, lyon, main)
	if err := b.Update(t.Context(), node("paris")); err == nil {
		t.Error("a member could change its name")
	}

	if err := a.Close(t.Context()); err != nil { // leaves
		t.Fatal(err)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := a.Update(t.Context(), main); !errors.Is(err, ErrClosed) {
		t.Errorf("Update after Close: %v", err)
	}
	sees(t, b, nantes)
	sees(t, c, lyon)

	c.mu.Lock()
	err = c.shutdown(t.Context()) // dies
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	sees(t, b)
	if n := j.count("level=ERROR"); n > 0 {
		t.Errorf("%d errors logged:\n%s", n, j.text.String())
	}
}

// TestSeedLater: two kinds of seeds are joined without a restart of the others: one that starts later, and one that
// dies and comes back at the same address.
func TestSeedLater(t *testing.T) {
	t.Parallel()
	var j journal
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seed := l.Addr().String()
	l.Close()
	b := run(t, config(&j, seed), node("lyon"))
	eventually(t, "a warning that the seed is down", func() bool { return j.count("some seeds cannot be joined") == 1 })
	c := config(&j, seed) // our own address among the seeds
	c.Bind = seed
	a := run(t, c, node("nantes"))
	sees(t, b, node("nantes"))
	sees(t, a, node("lyon"))

	a.mu.Lock()
	a.shutdown(t.Context())
	a.mu.Unlock()
	sees(t, b)
	c.Join = nil // it knows nobody, so b must find it again
	again := run(t, c, node("nantes"))
	sees(t, b, node("nantes"))
	sees(t, again, node("lyon"))
}

func TestRestartElsewhere(t *testing.T) {
	t.Parallel()
	var j journal
	a := run(t, config(&j), node("lyon"))
	b := run(t, config(&j, a.Addr()), node("nantes"))
	sees(t, a, node("nantes"))
	b.mu.Lock()
	b.shutdown(t.Context())
	b.mu.Unlock()
	sees(t, a)
	time.Sleep(1100 * time.Millisecond) // DeadNodeReclaimTime
	moved := node("nantes")
	moved.Flight = "new.example.org:8815"
	run(t, config(&j, a.Addr()), moved)
	sees(t, a, moved)
}

func TestKeptApart(t *testing.T) {
	t.Parallel()
	var j journal
	a := run(t, config(&j), node("lyon"))
	wrongKey := config(&j, a.Addr())
	wrongKey.Key = bytes.Repeat([]byte{8}, keySize)
	b := run(t, wrongKey, node("nantes"))
	other := config(&j, a.Addr())
	other.Federation = "cardio"
	c := run(t, other, node("paris"))
	// A third member joins after both have tried.
	d := run(t, config(&j, a.Addr()), node("rennes"))
	eventually(t, "both warned", func() bool { return j.count("some seeds cannot be joined") >= 2 })
	sees(t, a, node("rennes"))
	sees(t, d, node("lyon"))
	time.Sleep(500 * time.Millisecond)
	sees(t, a, node("rennes"))
	sees(t, b)
	sees(t, c)
}

func TestNameTaken(t *testing.T) {
	t.Parallel()
	var j, k journal
	a := run(t, config(&j), node("lyon"))
	b := run(t, config(&j, a.Addr()), node("nantes"))
	sees(t, a, node("nantes"))
	thief := node("nantes")
	thief.Flight = "elsewhere.example.org:8815"
	run(t, config(&k, a.Addr()), thief)
	eventually(t, "the first is told", func() bool { return j.count("two daemons use one name") >= 1 })
	eventually(t, "the second is told", func() bool { return k.count("another daemon uses our name") == 1 })
	time.Sleep(300 * time.Millisecond)
	sees(t, a, node("nantes"))
	sees(t, b, node("lyon"))
	if n := j.count("two daemons use one name"); n != 1 {
		t.Errorf("reported %d times", n)
	}
	if n := j.count("another daemon uses our name"); n > 1 {
		t.Errorf("reported to the owner %d times", n)
	}
}

func TestMalformedMetadata(t *testing.T) {
	t.Parallel()
	var j journal
	a := run(t, config(&j), node("lyon"))
	b := run(t, config(&j, a.Addr()), node("rennes"))
	runAs(t, config(&j, a.Addr()), node("garbage"), []byte{0xff, '{'})
	runAs(t, config(&j, a.Addr()), node("silent"), nil)
	runAs(t, config(&j, a.Addr()), node("later"), []byte(`{"v":2}`))
	posing, _ := encode(node("nantes"))
	runAs(t, config(&j, a.Addr()), node("poser"), posing)
	eventually(t, "all four reported", func() bool { return j.count("is not listed") >= 4 })
	sees(t, a, node("rennes"))
	sees(t, b, node("lyon"))

	// A member whose metadata become unreadable is no longer listed.
	b.roster.announce([]byte("?"))
	if err := b.list.UpdateNode(time.Second); err != nil {
		t.Fatal(err)
	}
	sees(t, a)
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config, *Member)
		want   string
	}{
		"no key":           {func(c *Config, m *Member) { c.Key = nil }, "key of 32 bytes, not of 0"},
		"short key":        {func(c *Config, m *Member) { c.Key = key[:16] }, "not of 16"},
		"no federation":    {func(c *Config, m *Member) { c.Federation = "" }, `federation ""`},
		"bind to a name":   {func(c *Config, m *Member) { c.Bind = "localhost:1" }, "bind \"localhost:1\" must be an IP address and a port"},
		"no bind":          {func(c *Config, m *Member) { c.Bind = "" }, "bind"},
		"advertise 0":      {func(c *Config, m *Member) { c.Advertise = "0.0.0.0:1" }, "others can reach"},
		"advertise port 0": {func(c *Config, m *Member) { c.Advertise = "10.0.0.1:0" }, "others can reach"},
		"join":             {func(c *Config, m *Member) { c.Join = []string{"lyon"} }, `"lyon" must be host:port`},
		"role":             {func(c *Config, m *Member) { m.Role = pki.RoleClient }, "role must be"},
		"name":             {func(c *Config, m *Member) { m.Name = "Lyon" }, "lower-case"},
		"flight":           {func(c *Config, m *Member) { m.Flight = "" }, "Flight address"},
		"long flight":      {func(c *Config, m *Member) { m.Flight = strings.Repeat("a", 255) + ":1" }, "255 bytes"},
		"catalog":          {func(c *Config, m *Member) { m.Catalog = "abc" }, "32 lower-case hex"},
		"data version":     {func(c *Config, m *Member) { m.DataVersion = strings.Repeat("v", 65) }, "at most 64"},
		"taken port":       {func(c *Config, m *Member) { c.Bind = "192.0.2.1:7946" }, "cannot take part in gossip at 192.0.2.1:7946"},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			cfg, self := config(&j), node("lyon")
			c.change(&cfg, &self)
			m, err := Start(t.Context(), cfg, self)
			if err == nil {
				m.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestLargestMetadata(t *testing.T) {
	t.Parallel()
	m := Member{Role: pki.RoleCoordinator, Name: strings.Repeat("n", 63), Flight: strings.Repeat("f", 249) + ":65535",
		Catalog: strings.Repeat("0", 32), DataVersion: strings.Repeat("v", 64)}
	b, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(b); err != nil || got != m || len(b) > memberlist.MetaMaxSize {
		t.Errorf("%d bytes, %v, %v", len(b), got, err)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	text := NewKey()
	got, err := ParseKey([]byte(text + "\n"))
	if err != nil || len(got) != keySize || text == NewKey() {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, bad := range []string{"", "hunter2", text + text, text[:40]} {
		if _, err := ParseKey([]byte(bad)); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestLogWriter(t *testing.T) {
	t.Parallel()
	var j journal
	l := log.New(&logWriter{logger: j.logger()}, "", 0)
	l.Printf("[DEBUG] memberlist: Initiating push/pull sync")
	l.Printf("[INFO] memberlist: Suspect x has failed, no acks received")
	l.Printf("[WARN] memberlist: Refuting a suspect message (from: x)")
	for port := range 50 {
		l.Printf("[ERR] memberlist: Decrypt packet failed: from=127.0.0.1:%d", port)
	}
	l.Printf("[ERR] memberlist: %s", strings.Repeat("x", 5000))
	if j.count("level=WARN") != 2 || j.count("Decrypt packet failed") != 1 || j.count("\n") != 2 || j.text.Len() > 1000 {
		t.Errorf("logged:\n%s", j.text.String())
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := encode(node("lyon"))
	f.Add(b)
	f.Add([]byte(`{"v":1,"role":"node","name":"a","flight":"[::1]:1","catalog":"00000000000000000000000000000000","x":[]}`))
	f.Add([]byte(`{"v":1e0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(m)
		if err != nil {
			t.Fatalf("decoded %+v, which cannot be announced: %v", m, err)
		}
		if back, err := decode(again); err != nil || back != m {
			t.Errorf("%+v became %+v, %v", m, back, err)
		}
	})
}
