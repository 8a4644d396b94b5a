package flightsql_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"

	client "github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/flightsql"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// federation stands for a coordinator that has one answer, for Ada.
type federation struct{}

var columns = []planner.Column{{Name: "patients", Type: value.TypeInt, Noisy: true}}

func (federation) Authenticate(_ context.Context, token string) (coordinator.Researcher, error) {
	if token != "ada's token" {
		return coordinator.Researcher{}, &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "the token is not known"}
	}
	return coordinator.Researcher{Name: "ada"}, nil
}

func (federation) Outline(context.Context, coordinator.Researcher, coordinator.Request) (*coordinator.Outline, error) {
	return &coordinator.Outline{Columns: columns}, nil
}

func (federation) Query(context.Context, coordinator.Researcher, coordinator.Request, func(coordinator.Progress)) (*coordinator.Answer, error) {
	rows := [][]planner.Estimate{{{Value: value.Int(41), Low: value.Int(38), High: value.Int(44)}}}
	return &coordinator.Answer{Answer: planner.Answer{Columns: columns, Rows: rows}}, nil
}

func (federation) Federation() coordinator.Federation { return coordinator.Federation{Name: "gironde"} }
func (federation) Catalog() *catalog.Catalog          { return catalog.OMOP() }

// connect serves the federation and connects to it. stop ends both.
func connect() (c *client.Client, stop func(), err error) {
	certificate := httptest.NewTLSServer(nil)
	defer certificate.Close()
	server, err := flightsql.NewServer(federation{}, federation{}, federation{}, &tls.Config{Certificates: certificate.TLS.Certificates}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Certificate())
	c, err = client.NewClient(listener.Addr().String(), nil, nil, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	return c, func() {
		if c != nil {
			c.Close()
		}
		_ = server.Shutdown(context.Background())
		<-ended
	}, err
}

// With the setting intervals, a noisy column is followed by the two ends of its interval.
func ExampleNewServer() {
	c, stop, err := connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer ada's token", "intervals", "true")
	info, err := c.Execute(ctx, "SELECT COUNT(*) AS patients FROM person")
	if err != nil {
		fmt.Println(err)
		return
	}
	rows, err := c.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rows.Release()
	for rows.Next() {
		for i, column := range rows.Record().Columns() {
			fmt.Println(rows.Record().ColumnName(i), column.ValueStr(0))
		}
	}
	// Output:
	// patients 41
	// patients_low 38
	// patients_high 44
}

// Without a token that the federation knows nothing is answered.
func ExampleAuthenticator() {
	c, stop, err := connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer somebody's token")
	_, err = c.Execute(ctx, "SELECT COUNT(*) AS patients FROM person")
	fmt.Println(status.Code(err))
	// Output: Unauthenticated
}
