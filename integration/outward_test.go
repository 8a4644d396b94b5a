package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/outward"
	"github.com/intramuros/intramuros/internal/pki"
)

// wire is between a hospital that opens no port and the coordinator's door: an HTTP proxy, or a simple relay. It can be
// cut, fall silent, and change bytes.
type wire struct {
	listener net.Listener
	relay    string // the destination; empty: an HTTP proxy

	mu      sync.Mutex
	open    map[net.Conn]bool
	silent  bool
	flip    bool // a bit of the returned bytes is changed
	status  int  // of the proxy's answer; 0: 200
	tunnels int  // the number made so far
	crossed bytes.Buffer
	all     sync.WaitGroup
}

func newWire(t testing.TB, relay string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, relay: relay, open: map[net.Conn]bool{}}
	w.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.all.Go(func() { w.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		for range 100 {
			w.cut()
			time.Sleep(time.Millisecond)
		}
		w.all.Wait()
	})
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) set(change func(*wire)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

// cut ends every connection.
func (w *wire) cut() {
	w.set(func(w *wire) {
		for c := range w.open {
			c.Close()
		}
	})
}

func (w *wire) serve(from net.Conn) {
	keep := func(c net.Conn) { w.set(func(w *wire) { w.open[c] = true }) }
	drop := func(c net.Conn) { c.Close(); w.set(func(w *wire) { delete(w.open, c) }) }
	keep(from)
	defer drop(from)
	to := w.relay
	if to == "" {
		r, err := http.ReadRequest(bufio.NewReader(from))
		if err != nil || r.Method != http.MethodConnect {
			return
		}
		w.mu.Lock()
		status := w.status
		w.mu.Unlock()
		if status != 0 {
			fmt.Fprintf(from, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
			return
		}
		to = r.Host
	}
	there, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	keep(there)
	defer drop(there)
	if w.relay == "" {
		fmt.Fprint(from, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	w.set(func(w *wire) { w.tunnels++ })
	var both sync.WaitGroup
	both.Go(func() { w.carry(from, there, false) })
	both.Go(func() { w.carry(there, from, true) })
	both.Wait()
}

func (w *wire) carry(from, to net.Conn, back bool) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		w.mu.Lock()
		silent := w.silent
		if w.flip && back && n > 0 {
			b[n/2] ^= 1
		}
		if w.crossed.Len() < 1<<20 {
			w.crossed.Write(b[:n])
		}
		w.mu.Unlock()
		if !silent && n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// outwards are the three wards. mid opens no port and reaches the door through an HTTP proxy. west reaches it through a
// relay that it regards as the door.
func outwards(t testing.TB) (s shape, proxy *wire, relay func() *wire) {
	t.Helper()
	s = wards(t)
	proxy = newWire(t, "")
	var between *wire
	s.outward = map[string]func(string) (string, string){
		"mid": func(door string) (string, string) { return door, "http://" + proxy.address() },
		"west": func(door string) (string, string) {
			between = newWire(t, door)
			return between.address(), "none"
		},
	}
	return s, proxy, func() *wire { return between }
}

// A federation in which two of three hospitals open no port answers like any other: the same values, and the same
// charges in every ledger, through a proxy and through a relay that cannot read anything.
func TestOutward(t *testing.T) {
	s, proxy, relay := outwards(t)
	f := startFederation(t, s)
	f.expectAnswer()
	f.expectCharged(0.5)
	a := f.anew(1, exactEpsilon)
	if got := a.Rows[0][0].Value; got != 150.0 {
		t.Errorf("the three have %v patients", got)
	}
	for _, w := range []*wire{proxy, relay()} {
		w.mu.Lock()
		if w.tunnels == 0 {
			t.Error("nothing went through what lies between")
		}
		for _, plain := range []string{"reading", "prepare", "NODE_", "ward", `"catalog"`} {
			if bytes.Contains(w.crossed.Bytes(), []byte(plain)) {
				t.Errorf("%q crosses in plain", plain)
			}
		}
		w.mu.Unlock()
	}
	listening := listeners(t, f.nodes["mid"].command.Process.Pid)
	if len(listening) > 0 {
		t.Errorf("a node that dials out listens at %v", listening)
	}
	if len(listeners(t, f.nodes["east"].command.Process.Pid)) == 0 {
		t.Error("a node that listens is not seen to: the test shows nothing")
	}
	for _, name := range f.hospitals {
		if out := f.must("ledger", "reconcile", "--node", f.path(name+".ledger"), "--coordinator", f.path("coordinator.ledger")); strings.Contains(out, "DIFFERS") {
			t.Error(out)
		}
	}

	// Its node and the coordinator restart; each finds the other.
	f.killNode("mid")
	f.restartNode("mid")
	f.anew(2, 0.1)
	f.coordinator.kill()
	f.startCoordinator()
	f.await(f.hospitals...)
	f.anew(3, 0.1)
	// A node that stops in an orderly way is gone at once.
	if err := f.nodes["west"].stop(); err != nil {
		t.Error(err)
	}
	delete(f.nodes, "west")
	f.awaitPresence(false, "west")
	_, err := f.query(request{SQL: "SELECT AVG(x) FROM reading", Epsilon: 0.5})
	refused(t, err, "HOSPITAL_MISSING", "west")
}

// If every hospital connects by WebSocket, the coordinator needs no gossip, no door of its own and no gossip key. One
// port is open in the whole federation.
func TestOutwardAlone(t *testing.T) {
	f := newFederation(t, wards(t))
	text := readAll(t, f.path("coordinator.yaml"))
	begin, end := strings.Index(text, "gossip:"), strings.Index(text, "catalog:")
	f.write("coordinator.yaml", text[:begin]+"door: {websocket: true}\n"+text[end:])
	if err := os.Remove(f.path("pki/gossip.key")); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(f.address)
	for _, name := range f.hospitals {
		node := readAll(t, f.path(name+".yaml"))
		begin, end := strings.Index(node, "listen:"), strings.Index(node, "catalog:")
		f.write(name+".yaml", node[:begin]+fmt.Sprintf("outward: {door: \"wss://localhost:%s\", proxy: none}\n", port)+node[end:])
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	f.expectAnswer()
	f.expectCharged(0.5)
	if ports := listeners(t, f.coordinator.command.Process.Pid); len(ports) != 1 {
		t.Errorf("the coordinator listens at %v", ports)
	}
	for _, name := range f.hospitals {
		if ports := listeners(t, f.nodes[name].command.Process.Pid); len(ports) > 0 {
			t.Errorf("%s listens at %v", name, ports)
		}
	}
	f.coordinator.kill()
	f.startCoordinator()
	f.await(f.hospitals...)
	f.anew(1, 0.1)
}

// anew asks a new question, the n-th. Every hospital must answer.
func (f *federation) anew(n int, epsilon float64) *answer {
	f.t.Helper()
	a, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(DISTINCT patient) FROM reading WHERE x > -%d", n), Epsilon: epsilon})
	if err != nil {
		f.t.Fatal(err)
	}
	if a.Stored || len(a.Hospitals.Answered) != len(f.hospitals) {
		f.t.Fatalf("%+v", a)
	}
	return a
}

// listeners are the TCP ports on which a process listens, from /proc. On other systems the test is skipped.
func listeners(t *testing.T, pid int) (ports []string) {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip("there is no /proc")
	}
	sockets := map[string]bool{}
	for _, fd := range fds {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		if inode, ok := strings.CutPrefix(link, "socket:["); ok && err == nil {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			field := strings.Fields(line)
			// 0A is LISTEN; a bound UDP socket is 07.
			if len(field) > 9 && sockets[field[9]] && (field[3] == "0A" || field[3] == "07") {
				ports = append(ports, table+" "+field[1])
			}
		}
	}
	return ports
}

// The connections of two hospitals are cut repeatedly while researchers ask: every 300 ms for 30 s, or every 10 s for
// the time in INTRAMUROS_CUTS, such as 1h. No hospital is lost, no answer comes without its charges, and after the cuts
// all answer at once.
func TestOutwardCuts(t *testing.T) {
	every, whole := 300*time.Millisecond, 30*time.Second
	if text := os.Getenv("INTRAMUROS_CUTS"); text != "" {
		var err error
		if whole, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		every = 10 * time.Second
	}
	s, proxy, relay := outwards(t)
	f := startFederation(t, s)
	var lost, looked, answered, uncharged, charged atomic.Int64
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // asks who is present
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			var state federationState
			if err := f.get("/v1/hospitals", &state); err != nil {
				t.Error(err)
				return
			}
			looked.Add(1)
			for _, h := range state.Hospitals {
				if !h.Present {
					lost.Add(1)
				}
			}
		}
	})
	all.Go(func() { // researchers
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			_, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(*) FROM reading WHERE x <> %d", i), Epsilon: 0.1})
			var r *refusal
			switch {
			case err == nil:
				answered.Add(1)
			case errors.As(err, &r) && !r.Charged:
				uncharged.Add(1)
			case errors.As(err, &r):
				charged.Add(1)
			default:
				t.Error(err)
			}
		}
	})
	cuts := 0
	for end := time.Now().Add(whole); time.Now().Before(end); cuts++ {
		time.Sleep(every)
		proxy.cut()
		relay().cut()
	}
	close(done)
	all.Wait()
	t.Logf("%d cuts; %d answers, %d queries that a cut ended before the charge, %d after it; presence looked at %d times, missed %d times",
		cuts, answered.Load(), uncharged.Load(), charged.Load(), looked.Load(), lost.Load())
	if lost.Load() > 0 || looked.Load() == 0 {
		t.Error("hospitals were lost")
	}
	if answered.Load() < 10 {
		t.Error("too few queries were answered")
	}
	began := time.Now()
	f.anew(1, 0.1)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after the cuts an answer took %v", took)
	}
	for _, name := range f.hospitals {
		f.must("ledger", "verify", "--file", f.path(name+".ledger"))
		if out := f.must("ledger", "reconcile", "--node", f.path(name+".ledger"), "--coordinator", f.path("coordinator.ledger")); strings.Contains(out, "DIFFERS") {
			t.Error(out)
		}
	}
}

// Bytes vanish silently on one hospital's connection, and another hospital's machine sleeps. A query does not wait for
// them once the third has answered. They are missing within half a minute, and are back when network and machine are.
func TestOutwardSilence(t *testing.T) {
	s, proxy, _ := outwards(t)
	s.require = "1"
	f := startFederation(t, s)
	f.anew(1, 0.1)
	proxy.set(func(w *wire) { w.silent = true })
	f.nodes["west"].signal(syscall.SIGSTOP)
	began := time.Now()
	a, err := f.query(request{SQL: "SELECT AVG(x) FROM reading", Epsilon: 0.1})
	if err != nil || !slices.Equal(a.Hospitals.Answered, []string{"east"}) || a.Hospitals.Missing[0].Code != "UNREACHABLE" {
		t.Fatalf("%+v, %v", a, err)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("took %v", took)
	}
	f.awaitPresence(false, "mid", "west")
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("they are missed after %v", took)
	}
	proxy.set(func(w *wire) { w.silent = false })
	proxy.cut() // what was swallowed is lost for TLS
	f.nodes["west"].signal(syscall.SIGCONT)
	f.await("mid", "west")
	f.anew(2, 0.1)
}

// With a proxy that makes no tunnel, and one that changes bytes, the node says why it is absent, and comes when it can.
// A flood of connections at the door keeps nobody out.
func TestOutwardProxyAndFlood(t *testing.T) {
	s, proxy, _ := outwards(t)
	f := newFederation(t, s)
	f.startCoordinator()
	proxy.set(func(w *wire) { w.status = http.StatusBadGateway })
	f.startNode("mid")
	if !f.nodes["mid"].logged("502", soon) {
		t.Errorf("it does not say why:\n%s", f.nodes["mid"].tail(5))
	}
	proxy.set(func(w *wire) { w.status = http.StatusProxyAuthRequired })
	if !f.nodes["mid"].logged("HTTPS_PROXY", soon) {
		t.Errorf("it does not say what to do:\n%s", f.nodes["mid"].tail(5))
	}
	proxy.set(func(w *wire) { w.status, w.flip = 0, true })
	if !f.nodes["mid"].logged("the door's TLS", soon) {
		t.Errorf("what was changed on the way is not noticed:\n%s", f.nodes["mid"].tail(5))
	}
	proxy.set(func(w *wire) { w.flip = false })

	flood := make(chan struct{})
	var all sync.WaitGroup
	for range 4 { // some send nothing, some begin a TLS handshake and never finish it
		all.Go(func() {
			var open []net.Conn
			for {
				select {
				case <-flood:
					for _, c := range open {
						c.Close()
					}
					return
				default:
				}
				c, err := net.DialTimeout("tcp", f.door, time.Second)
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if len(open)%2 == 0 {
					_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00\x01")
				}
				if open = append(open, c); len(open) > 400 {
					open[0].Close()
					open = open[1:]
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	f.startNode("east")
	f.startNode("west")
	f.await(f.hospitals...)
	f.expectAnswer()
	if n := descriptors(t, f.coordinator.command.Process.Pid); n > 600 {
		t.Errorf("the flood holds %d files of the coordinator open", n)
	}
	close(flood)
	all.Wait()

	// A stranger without a certificate, and a stranger with another authority's certificate.
	other := f.path("other")
	f.must("pki", "init", "--dir", other, "--federation", federationName)
	f.must("pki", "issue", "--dir", other, "--role", "node", "--name", "mid")
	pair, err := tls.LoadX509KeyPair(other+"/node-mid.pem", other+"/node-mid.key")
	if err != nil {
		t.Fatal(err)
	}
	for _, certificates := range [][]tls.Certificate{nil, {pair}} {
		c, err := tls.Dial("tcp", f.door, &tls.Config{InsecureSkipVerify: true, Certificates: certificates, NextProtos: []string{"intramuros-door/1"}})
		if err != nil {
			continue
		}
		c.SetDeadline(time.Now().Add(soon))
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("the door says %d bytes to a stranger", n)
		}
		c.Close()
	}
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip("there is no /proc")
	}
	return len(fds)
}

// TestOutwardThousandLines parks 1,000 lines of 500 hospitals at the coordinator's door. Their nodes stay silent on a
// line that the coordinator takes. A query over the three healthy hospitals is answered, memory and goroutines stay
// bounded, and all lines come back after a cut.
func TestOutwardThousandLines(t *testing.T) {
	const crowd = 500
	f := newFederation(t, wards(t))
	silent := make([]string, crowd)
	for i := range silent {
		silent[i] = fmt.Sprintf("silent-%03d", i)
	}
	profiles := freeAddress(t)
	b, err := os.ReadFile(f.path("coordinator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(f.hospitals, silent)
	text := strings.Replace(string(b), "hospitals: ["+strings.Join(f.hospitals, ", ")+"]", "hospitals: ["+strings.Join(all, ", ")+"]", 1)
	text = strings.Replace(text, "require: all", "require: 3", 1)
	f.write("coordinator.yaml", text+fmt.Sprintf("door: {listen: %q}\ndebug: {listen: %q}\n", f.door, profiles))
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)

	between := newWire(t, f.door)
	f.park(between.address(), silent)
	f.await(silent...)
	memory, goroutines := f.memory()["coordinator"], goroutinesAt(t, profiles)
	t.Logf("%d lines are parked; the coordinator has %d MB and %d goroutines", 2*crowd, memory, goroutines)
	if goroutines > 10*crowd {
		t.Errorf("%d goroutines of %d lines", goroutines, 2*crowd)
	}
	for i := range 3 {
		began := time.Now()
		a, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(*) FROM reading WHERE x <> %d", i), Epsilon: 0.1})
		if err != nil || len(a.Hospitals.Answered) != 3 {
			t.Fatalf("%v %v", err, a)
		}
		t.Logf("an answer took %v, without %d hospitals", time.Since(began).Round(time.Millisecond), len(a.Hospitals.Missing))
		// waiting for the silent nodes would take query_timeout, 5 minutes
		if took := time.Since(began); took > time.Minute {
			t.Errorf("an answer took %v", took)
		}
	}
	between.cut()
	f.await(silent...)
	time.Sleep(6 * time.Second) // the coordinator calls every hospital and gets no reply
	after, left := f.memory()["coordinator"], goroutinesAt(t, profiles)
	t.Logf("after a cut of all lines and three queries it has %d MB and %d goroutines", after, left)
	if after > memory+200 || left > 10*crowd {
		t.Errorf("%d MB and %d goroutines, after %d MB and %d", after, left, memory, goroutines)
	}
}

// park connects hospitals that wait at the door. Their nodes read what the coordinator sends on a line, and never
// reply.
func (f *federation) park(door string, names []string) {
	f.t.Helper()
	authority, err := pki.LoadAuthority(f.path("pki"))
	if err != nil {
		f.t.Fatal(err)
	}
	digest := f.catalog().Digest()[:32]
	var each sync.WaitGroup
	f.t.Cleanup(each.Wait)
	for _, name := range names {
		if err := authority.Issue(f.path("pki"), pki.Identity{Federation: federationName, Role: pki.RoleNode, Name: name}, nil, time.Hour); err != nil {
			f.t.Fatal(err)
		}
		conf, err := pki.CallerTLS(f.path("pki/ca.pem"), f.path("pki/node-"+name+".pem"), f.path("pki/node-"+name+".key"))
		if err != nil {
			f.t.Fatal(err)
		}
		l, err := outward.Listen(outward.Config{Door: door, Proxy: "none", TLS: conf, Logger: slog.New(slog.DiscardHandler)},
			membership.Member{Role: pki.RoleNode, Name: name, Outward: true, Catalog: digest, DataVersion: "v1", Wire: membership.Wire{Least: 1, Most: fragment.Version}})
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { l.Close() })
		each.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				each.Go(func() {
					_, _ = io.Copy(io.Discard, c)
					c.Close()
				})
			}
		})
	}
}

// goroutinesAt returns a daemon's number of goroutines.
func goroutinesAt(t *testing.T, profiles string) int {
	t.Helper()
	r, err := http.Get("http://" + profiles + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var n int
	if _, err := fmt.Fscanf(r.Body, "goroutine profile: total %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}
