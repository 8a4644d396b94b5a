package integration

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// atOnce is how long the hospitals may take to stop. On an idle machine it is less than a second.
const atOnce = 5 * time.Second

// TestClientsCancel makes each client cancel a question that no hospital finishes, as its users do. No hospital may
// compute any more right afterwards.
func TestClientsCancel(t *testing.T) {
	installed := clients(t)
	f := newFederation(t, wards(t))
	flight, postgres := freeAddress(t), freeAddress(t)
	f.write("coordinator.yaml", readAll(t, f.path("coordinator.yaml"))+"flight_sql: {listen: '"+flight+"'}\npostgres: {listen: '"+postgres+"'}\n")
	metrics := map[string]string{}
	for _, name := range f.hospitals {
		metrics[name] = freeAddress(t)
		f.write(name+".yaml", readAll(t, f.path(name+".yaml"))+"metrics: {listen: '"+metrics[name]+"'}\n")
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)

	// computing is the number of hospitals whose databases work now.
	computing := func() int {
		n := 0
		for _, name := range f.hospitals {
			r, err := http.Get("http://" + metrics[name] + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(b, []byte("\nintramuros_node_queries_running 0\n")) {
				n++
			}
		}
		return n
	}
	await := func(want int, within time.Duration) (time.Duration, bool) {
		began := time.Now()
		for computing() != want {
			if time.Since(began) > within {
				return 0, false
			}
			time.Sleep(10 * time.Millisecond)
		}
		return time.Since(began), true
	}
	host, port, _ := strings.Cut(postgres, ":")
	where := "host=" + host + " port=" + port + " user=ada dbname=trial sslmode=verify-full sslrootcert=" + f.path("pki/ca.pem")
	environment := append(os.Environ(), "CLIENT_FLIGHT="+flight, "CLIENT_POSTGRES="+postgres, "CLIENT_CA="+f.path("pki/ca.pem"), "CLIENT_TOKEN="+token, "CLIENT_POOR=", "CLIENT_EXPECTED=[]",
		"CLIENT_SLOW="+slow, "CLIENT_QUICK="+quick, "PYTHONDONTWRITEBYTECODE=1", "PGPASSWORD="+token, "PSQLRC=/dev/null")

	say := func(_ *exec.Cmd, in io.Writer) error {
		_, err := io.WriteString(in, "now\n")
		return err
	}
	interrupt := func(c *exec.Cmd, _ io.Writer) error { return c.Process.Signal(os.Interrupt) }
	kill := func(c *exec.Cmd, _ io.Writer) error { return c.Process.Kill() }
	nothing := func(*exec.Cmd, io.Writer) error { return nil }
	type canceling struct {
		name    string
		command []string
		cancel  func(*exec.Cmd, io.Writer) error
		within  time.Duration // from cancel until no hospital computes
		told    string        // expected in its output; empty if it is killed
	}
	all := []canceling{
		{"adbc", []string{installed.python(), "cancel.py", "adbc"}, say, atOnce, "ok"},
		{"adbc-gone", []string{installed.python(), "cancel.py", "adbc"}, kill, atOnce, ""},
		{"psycopg", []string{installed.python(), "cancel.py", "psycopg"}, say, atOnce, "ok"},
		{"psycopg2", []string{installed.python(), "cancel.py", "psycopg2"}, say, atOnce, "ok"},
		{"psql", []string{"psql", where, "-c", slow, "-c", quick}, interrupt, atOnce, "CANCELED"},
		{"psql-gone", []string{"psql", where, "-c", slow}, kill, atOnce, ""},
		{"pgjdbc", installed.java("Cancel.java", "postgres", "cancel"), say, atOnce, "ok"},
		{"pgjdbc-timeout", installed.java("Cancel.java", "postgres", "timeout", "8"), nothing, 8*time.Second + atOnce, "ok"},
		{"flight-sql-jdbc", installed.java("Cancel.java", "flight", "cancel"), say, atOnce, "ok"},
		{"flight-sql-jdbc-gone", installed.java("Cancel.java", "flight", "cancel"), kill, atOnce, ""},
		{"asyncpg", []string{installed.python(), "cancel.py", "asyncpg"}, say, atOnce, "ok"},
		{"adbc-postgres", []string{installed.python(), "cancel.py", "adbc-postgres"}, say, atOnce, "ok"},
		{"pgx", []string{"go", "run", "-C", "golang", "./pgx"}, say, atOnce, "ok"},
	}
	if odbc(t) {
		all = append(all, canceling{"psqlodbc", []string{installed.python(), "cancel.py", "odbc"}, say, atOnce, "ok"})
	}
	if perl(t) {
		all = append(all, canceling{"dbd-pg", []string{"perl", "driver.pl"}, say, atOnce, "ok"})
	}
	for _, client := range all {
		t.Run(client.name, func(t *testing.T) {
			c := exec.Command(client.command[0], client.command[1:]...)
			var out bytes.Buffer
			c.Env, c.Dir, c.Stdout, c.Stderr = environment, "clients", &out, &out
			c.SysProcAttr = ownGroup()
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			defer func() { _ = c.Process.Kill() }()
			if _, ok := await(len(f.hospitals), time.Minute); !ok {
				t.Fatalf("the hospitals do not compute:\n%s", &out)
			}
			if err := client.cancel(c, in); err != nil {
				t.Fatal(err)
			}
			took, ok := await(0, client.within)
			if !ok {
				t.Errorf("%v after the cancel %d hospitals compute", client.within, computing())
			}
			t.Logf("no hospital computes %v after the cancel", took.Round(time.Millisecond))
			select {
			case <-ended:
				if !strings.Contains(out.String(), client.told) {
					t.Errorf("the client does not say %s:\n%s", client.told, &out)
				}
			case <-time.After(soon):
				t.Errorf("the client does not end")
			}
		})
	}
}
