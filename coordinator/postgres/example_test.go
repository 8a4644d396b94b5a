package postgres_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// federation stands for a coordinator that has one answer, for Ada. Of the rest of a door's needs it is asked nothing.
type federation struct{ postgres.Admitter }

var columns = []planner.Column{{Name: "patients", Type: value.TypeInt, Noisy: true}}

func (federation) Authenticate(_ context.Context, token string) (coordinator.Researcher, error) {
	if token != "ada-token" {
		return coordinator.Researcher{}, &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "the token is not known"}
	}
	return coordinator.Researcher{Name: "ada"}, nil
}

func (federation) Budget(context.Context, coordinator.Researcher, string) (*coordinator.Account, error) {
	return &coordinator.Account{}, nil
}

func (federation) Outline(context.Context, coordinator.Researcher, coordinator.Request) (*coordinator.Outline, error) {
	return &coordinator.Outline{Columns: columns}, nil
}

func (federation) Forewarned(context.Context, coordinator.Researcher, coordinator.Request, func(*coordinator.Outline)) (*coordinator.Answer, error) {
	rows := [][]planner.Estimate{{{Value: value.Int(41), Low: value.Int(38), High: value.Int(44)}}}
	return &coordinator.Answer{Answer: planner.Answer{Columns: columns, Rows: rows}}, nil
}

func (federation) Challenge(string, *x509.Certificate) *identity.Challenge { return nil }

// serve serves the federation with a certificate, and returns how to connect. stop ends it.
func serve() (conf *pgx.ConnConfig, stop func(), err error) {
	certificate := httptest.NewTLSServer(nil)
	defer certificate.Close()
	words, err := dictionary.Open(context.Background(), catalog.OMOP())
	if err != nil {
		return nil, nil, err
	}
	server := postgres.NewServer(federation{}, federation{}, words, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate.TLS.Certificates[0], nil },
	}, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, errors.Join(err, words.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	conf, err = pgx.ParseConfig("postgres://ada:ada-token@" + listener.Addr().String() + "/trial?sslmode=require")
	if err == nil {
		roots := x509.NewCertPool()
		roots.AddCert(certificate.Certificate())
		conf.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	}
	return conf, func() {
		_ = server.Shutdown(context.Background())
		<-ended
		words.Close()
	}, err
}

// Any PostgreSQL client asks. Its database is the study.
func ExampleNewServer() {
	conf, stop, err := serve()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	c, err := pgx.ConnectConfig(context.Background(), conf)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(context.Background())
	var patients int
	err = c.QueryRow(context.Background(), "SELECT COUNT(*) AS patients FROM person").Scan(&patients)
	fmt.Println(patients, err)
	// Output: 41 <nil>
}

// Without a token that the federation knows, nobody is connected.
func ExampleAdmitter() {
	conf, stop, err := serve()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	conf.Password = "somebody's token"
	_, err = pgx.ConnectConfig(context.Background(), conf)
	var refused *pgconn.PgError
	fmt.Println(errors.As(err, &refused) && refused.Code == "28P01")
	// Output: true
}
