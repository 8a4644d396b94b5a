package flightsql

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/lobby"
)

// Asker is the part of a coordinator that a query needs. Its errors are of type
// *coordinator.Error.
type Asker interface {
	Outline(ctx context.Context, who coordinator.Researcher, req coordinator.Request) (*coordinator.Outline, error)
	Query(ctx context.Context, who coordinator.Researcher, req coordinator.Request, progress func(coordinator.Progress)) (*coordinator.Answer, error)
}

// Authenticator identifies the owner of a token. Its errors are of type *coordinator.Error.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (coordinator.Researcher, error)
}

// Informer is the part of a coordinator that describes the federation.
type Informer interface {
	Federation() coordinator.Federation
	Catalog() *catalog.Catalog
}

const (
	maxMessage          = 1 << 20 // bytes of one message from a client
	maxHeaders          = 64 << 10
	maxStreams          = 100 // of one connection at once
	connectTime         = 10 * time.Second
	idleTime            = 30 * time.Minute
	unauthenticatedTime = time.Minute // of a connection on which nobody has shown a token
)

// Server is a running front door.
type Server struct {
	grpc  *grpc.Server
	lobby *lobby.Lobby
}

// NewServer makes the door. conf is the TLS configuration.
func NewServer(asker Asker, authenticator Authenticator, informer Informer, conf *tls.Config, log *slog.Logger) (*Server, error) {
	door, err := newDoor(asker, informer, log)
	if err != nil {
		return nil, err
	}
	g := authInterceptor{authenticator, log}
	server := grpc.NewServer(
		grpc.Creds(guestCreds{credentials.NewTLS(conf)}), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams), grpc.ConnectionTimeout(connectTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(door.recoverUnary, g.unary), grpc.ChainStreamInterceptor(door.recoverStream, g.stream),
	)
	flight.RegisterFlightServiceServer(server, flightsql.NewFlightServer(door))
	return &Server{server, lobby.New(unauthenticatedTime)}, nil
}

// Serve answers until Shutdown. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(s.lobby.Listen(l))
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Shutdown accepts no more calls and waits for running ones. When ctx ends it cancels them, also at the hospitals.
func (s *Server) Shutdown(ctx context.Context) error {
	drained := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		s.grpc.Stop()
		<-drained
	}
	return nil
}

// recoverUnary turns a panic into an error. Libraries decode messages from outside without checking each nil. Such a
// message must not end the coordinator.
func (d *door) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	defer func() { err = d.recovered(info.FullMethod, recover(), err) }()
	return next(ctx, req)
}

func (d *door) recoverStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = d.recovered(info.FullMethod, recover(), err) }()
	return next(srv, stream)
}

func (d *door) recovered(method string, panicked any, err error) error {
	if panicked == nil {
		// a command that the library does not know
		if strings.Contains(status.Convert(err).Message(), "unmarshal google.protobuf.Any") {
			return readOnly()
		}
		return err
	}
	d.log.Error("call ended by a panic", slog.String("method", method), slog.String("panic", fmt.Sprint(panicked)), slog.String("stack", string(debug.Stack())))
	return statusOf(&coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: "the request is not understood"})
}
