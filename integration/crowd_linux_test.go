package integration

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/lobby"
)

// TestCrowdedDoors opens 5,000 connections without sign-in at each of the researchers' three doors. Others still sign
// in and get answers at each within 2 s, and the coordinator's memory stays bounded. Many more connections of one
// person are refused with a code, while another person is admitted.
func TestCrowdedDoors(t *testing.T) {
	const crowd = 5000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Max < 3*crowd+1000 {
		t.Skipf("this machine lets a program open %d files, too few for %d connections: %v", files.Max, 3*crowd, err)
	}
	before := files
	files.Cur = files.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)

	f := newFederation(t, wardsOf(t, "east"))
	flight, postgres := freeAddress(t), freeAddress(t)
	f.write("coordinator.yaml", readAll(t, f.path("coordinator.yaml"))+"flight_sql: {listen: '"+flight+"'}\npostgres: {listen: '"+postgres+"'}\n")
	f.startCoordinator()
	f.startNode("east")
	f.await("east")
	// Each connects and has been answered.
	doors := map[string]func(context.Context) (end func(), err error){
		f.address: f.askHTTPS,
		flight:    func(ctx context.Context) (func(), error) { return f.askFlight(ctx, flight) },
		postgres:  func(ctx context.Context) (func(), error) { return f.askPostgres(ctx, postgres) },
	}
	for address, ask := range doors {
		end, err := ask(t.Context())
		if err != nil {
			t.Fatalf("%s, when nobody else is there: %v", address, err)
		}
		end()
	}
	memory := peak(t, f.coordinator.command.Process.Pid)
	for address := range doors {
		for i := range crowd {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatalf("%s, after %d: %v", address, i, err)
			}
			defer c.Close()
		}
	}
	for address, ask := range doors {
		served(t, address, ask)
	}
	if grown := peak(t, f.coordinator.command.Process.Pid) - memory; grown > 200 {
		t.Errorf("the coordinator has grown by %d MiB", grown)
	}
	f.client.CloseIdleConnections()
	for address, ask := range doors {
		onePerson(t, address, ask)
	}
}

// onePerson takes all connections at a door that one person may have, and one more.
func onePerson(t *testing.T, address string, ask func(context.Context) (func(), error)) {
	t.Helper()
	var first func()
	for i := range lobby.MaxPersonal {
		end := admitted(t, address, ask)
		if i > 0 {
			defer end()
		} else {
			first = end
		}
	}
	if _, err := ask(t.Context()); err == nil || !strings.Contains(err.Error(), "TOO_MANY_QUERIES") {
		t.Errorf("%s: one connection too many of one person: %v", address, err)
	}
	first()
	admitted(t, address, ask)()
}

// admitted asks until a door has noticed that others have left.
func admitted(t *testing.T, address string, ask func(context.Context) (func(), error)) (end func()) {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		end, err := ask(t.Context())
		if err == nil {
			return end
		}
		if time.Now().After(late) {
			t.Fatalf("%s: %v", address, err)
		}
	}
}

// askHTTPS asks for the study's budget over a connection of its own.
func (f *federation) askHTTPS(ctx context.Context) (end func(), err error) {
	alone := f.client.Transport.(*http.Transport).Clone()
	again := *f
	again.client = &http.Client{Transport: alone}
	var account any
	return lasting(alone.CloseIdleConnections, again.fetch(ctx, http.MethodGet, "/v1/budget?study="+studyID, nil, &account))
}

// askFlight plans a query.
func (f *federation) askFlight(ctx context.Context, address string) (end func(), err error) {
	conf := f.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	client, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	if err != nil {
		return nil, err
	}
	_, err = client.Execute(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token, "study", studyID, "epsilon", "1"), "SELECT COUNT(*) FROM reading")
	return lasting(func() { client.Close() }, err)
}

// askPostgres signs in.
func (f *federation) askPostgres(ctx context.Context, address string) (end func(), err error) {
	c, err := pgx.Connect(ctx, f.postgresDSN(address))
	if err != nil {
		return nil, err
	}
	_, err = c.Exec(ctx, "SELECT 1")
	return lasting(func() { c.Close(context.Background()) }, err)
}

// lasting ends a connection at once if it got no answer.
func lasting(end func(), err error) (func(), error) {
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// served asks within 2 s. A busy machine may miss that, but not three times.
func served(t *testing.T, address string, ask func(context.Context) (func(), error)) {
	t.Helper()
	var all error
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		begun := time.Now()
		end, err := ask(ctx)
		cancel()
		if err == nil {
			end()
			t.Logf("%s serves within %v", address, time.Since(begun))
			return
		}
		all = errors.Join(all, err)
	}
	t.Errorf("%s does not serve within 2 s: %v", address, all)
}
