package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/planner"
)

// client calls a coordinator's HTTP API.
type client struct{ server, ca, tokenFile string }

// usageError is a wrong use of the command, with exit status 2.
type usageError struct{ error }

// ExitCode is the command's exit status.
func (usageError) ExitCode() int { return 2 }

// Unwrap returns the underlying error.
func (e usageError) Unwrap() error { return e.error }

// send returns the server's answer; the caller closes its body. A refusal is a *serverError.
func (c *client) send(ctx context.Context, method, path, accept string, body any) (*http.Response, error) {
	base, err := url.Parse(c.server)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, usageError{errors.New("--server must be like https://host:port; there is no way in without TLS")}
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, usageError{err}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // a process makes one request
	if c.ca != "" {
		if transport.TLSClientConfig, err = pki.HTTPClientTLS(c.ca); err != nil {
			return nil, usageError{err}
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(path, "?")
	reach := base.JoinPath(path)
	reach.RawQuery = query
	request, err := http.NewRequestWithContext(ctx, method, reach.String(), bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", accept)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, c.unreached(err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var f httpapi.Failure
	b, _ = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(b, &f) != nil || f.Error.Code == "" {
		return nil, fmt.Errorf("the server answered %s; is %s a coordinator?", response.Status, c.server)
	}
	return nil, &serverError{f.Error}
}

// unreached says how the connection to the coordinator failed, and what to check.
func (c *client) unreached(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) { // its text begins with the method and the path
		err = failed.Err
	}
	var authority x509.UnknownAuthorityError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &authority) && c.ca == "":
		return fmt.Errorf("%s has a certificate of an authority that this machine does not know; give the federation's ca.pem with --ca or INTRAMUROS_CA", c.server)
	case errors.As(err, &authority):
		return fmt.Errorf("%s has a certificate of another authority than that in %s; is that the federation's ca.pem?", c.server, c.ca)
	case errors.As(err, &plain):
		return fmt.Errorf("%s does not speak TLS; is that the port of the coordinator's HTTP API?", c.server)
	}
	return fmt.Errorf("the coordinator at %s cannot be reached: %w", c.server, err)
}

func (c *client) token(ctx context.Context) (string, error) {
	if c.tokenFile == "" {
		if token := os.Getenv("INTRAMUROS_TOKEN"); token != "" {
			return token, nil
		}
		return "", errors.New("no token; give --token-file or set INTRAMUROS_TOKEN")
	}
	b, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	if bytes.HasPrefix(b, []byte("{")) {
		return bearer(ctx, c.tokenFile, b)
	}
	return strings.TrimSpace(string(b)), nil
}

// serverError is a refusal by the coordinator.
type serverError struct{ refusal httpapi.Error }

// Error gives code and message on one line.
func (e *serverError) Error() string { return string(e.refusal.Code) + ": " + e.refusal.Message }

// explain turns an error into text for a person: the line of the SQL with a caret under the error, the hint, and the
// hospitals.
func (a *queryCommand) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errors.New("canceled; what was charged by then stays charged")
	}
	var refused *serverError
	if !errors.As(err, &refused) {
		return err
	}
	e := refused.refusal
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", a.palette.fault(string(e.Code)), e.Message)
	if e.Line > 0 {
		place := planner.Error{Position: planner.Position{Offset: e.Offset, Length: e.Length, Line: e.Line, Column: e.Column}}
		fmt.Fprintf(&b, "\n\nline %d, column %d:\n%s", e.Line, e.Column, indent(a.palette.caret(place.Caret(a.request.SQL))))
	}
	if len(e.Hospitals) > 1 { // the message already says it if there is only one
		for _, h := range e.Hospitals {
			fmt.Fprintf(&b, "\n  %s %s (%s)", h.Name, h.Why, h.Code)
		}
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\n%s %s", a.palette.hint("hint:"), e.Hint)
	}
	if e.Charged {
		b.WriteString("\nThe study was charged for this query.")
	}
	return errors.New(b.String())
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }
