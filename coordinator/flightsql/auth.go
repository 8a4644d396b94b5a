package flightsql

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"strings"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/lobby"
)

const (
	authorization   = "authorization"
	handshakeMethod = "/arrow.flight.protocol.FlightService/Handshake"
)

// authInterceptor admits calls with a valid token.
type authInterceptor struct {
	authenticator Authenticator
	log           *slog.Logger
}

type whoKey struct{}

// who returns the researcher that the interceptor has put into the context.
func who(ctx context.Context) coordinator.Researcher {
	w, _ := ctx.Value(whoKey{}).(coordinator.Researcher)
	return w
}

// admit reads the token from the call: as a bearer token, or as the password of a user.
func (g authInterceptor) admit(ctx context.Context) (_ context.Context, token string, err error) {
	user := ""
	header, _ := metadata.FromIncomingContext(ctx)
	for _, value := range header.Get(authorization) {
		scheme, credentials, _ := strings.Cut(value, " ")
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			user, token = "", credentials
		case strings.EqualFold(scheme, "Basic") && token == "":
			user, token = basic(credentials)
		}
	}
	w, err := g.authenticator.Authenticate(ctx, token)
	var e *coordinator.Error
	switch {
	case err == nil:
	case errors.As(err, &e):
		return nil, "", statusOf(e)
	default:
		g.log.Error("a token could not be checked", slog.Any("error", err))
		return nil, "", statusOf(&coordinator.Error{Code: coordinator.CodeInternal, Message: "the coordinator met a fault of its own"})
	}
	if user != "" && user != w.Name {
		return nil, "", statusOf(&coordinator.Error{
			Code: coordinator.CodeUnauthorized, Message: "the token is not this user's", Hint: "give your own name, or the token alone as a bearer token",
		})
	}
	if p, ok := peer.FromContext(ctx); ok {
		if g, ok := p.AuthInfo.(guestInfo); ok {
			if err := g.guest.SignIn(w.Name); err != nil {
				return nil, "", statusOf(coordinator.Crowded(err))
			}
		}
	}
	return context.WithValue(ctx, whoKey{}, w), token, nil
}

// guestCreds are TLS credentials that remember the underlying connection.
type guestCreds struct {
	credentials.TransportCredentials
}

type guestInfo struct {
	credentials.AuthInfo
	guest *lobby.Guest
}

func (c guestCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	return conn, guestInfo{info, lobby.Of(raw)}, err
}

// basic reads user:password in base64, padded or not.
func basic(credentials string) (user, password string) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credentials, "="))
	if err != nil {
		return "", ""
	}
	user, password, _ = strings.Cut(string(b), ":")
	return user, password
}

func (g authInterceptor) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, _, err := g.admit(ctx)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (g authInterceptor) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, token, err := g.admit(stream.Context())
	if err != nil {
		return err
	}
	if info.FullMethod == handshakeMethod {
		// Some clients look in the header, others in the trailer.
		bearer := metadata.Pairs(authorization, "Bearer "+token)
		stream.SetTrailer(bearer)
		return stream.SendHeader(bearer)
	}
	return next(srv, admitted{stream, ctx})
}

// admitted is a stream whose context has the researcher.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (a admitted) Context() context.Context { return a.ctx }

// RecvMsg checks what a client sends before Arrow's library reads it.
func (a admitted) RecvMsg(m any) error {
	if err := a.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if data, ok := m.(*flight.FlightData); ok {
		return checkBody(data)
	}
	return nil
}
