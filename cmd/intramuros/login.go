package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/intramuros/intramuros/internal/identity"
)

// session is the content of a token file that login writes, and renews the token later.
type session struct {
	Issuer   string    `json:"issuer"`
	Client   string    `json:"client"`
	CA       string    `json:"ca,omitempty"`
	Token    string    `json:"token"` // the ID token, which coordinator and nodes verify
	Refresh  string    `json:"refresh,omitempty"`
	Expires  time.Time `json:"expires"`
	Scopes   []string  `json:"scopes"`
	provider oauth2.Config
}

func newLoginCommand() *cobra.Command {
	var s session
	var file string
	c := &cobra.Command{
		Use:   "login --issuer URL --client ID --token-file FILE",
		Short: "Log in at an identity provider",
		Long: `Logs in at an OpenID Connect provider, such as Keycloak or Pro Santé Connect, by its device
flow: it shows an address and a code, you confirm in a browser, on this machine or another.
The token goes into --token-file, which only you can read; the other commands take it from
there and renew it for as long as the provider lets them.`,
		Example: `  intramuros login --issuer https://idp.example.org/realms/research --client intramuros --token-file ~/.intramuros-token
  intramuros query --token-file ~/.intramuros-token "SELECT COUNT(*) FROM person"`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("issuer", "client", "token-file"),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, err := s.discover(c.Context())
			if err != nil {
				return err
			}
			device, err := s.provider.DeviceAuth(ctx)
			if err != nil {
				return fmt.Errorf("the provider has no device flow for this client: %w", err)
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "Open %s and enter the code %s\n", device.VerificationURI, device.UserCode)
			if device.VerificationURIComplete != "" {
				fmt.Fprintf(w, "or open %s\n", device.VerificationURIComplete)
			}
			token, err := s.provider.DeviceAccessToken(ctx, device)
			if err != nil {
				return fmt.Errorf("not logged in: %w", err)
			}
			if err := s.take(token); err != nil {
				return err
			}
			if err := s.write(file); err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "Logged in; the token is in %s\n", file)
			return err
		},
	}
	c.Flags().StringVar(&s.Issuer, "issuer", "", "address of the provider, as its tokens name it")
	c.Flags().StringVar(&s.Client, "client", "", "this program's client id at the provider")
	c.Flags().StringVar(&s.CA, "idp-ca", "", "PEM file of the authorities of the provider's HTTPS (default: the system's)")
	c.Flags().StringSliceVar(&s.Scopes, "scope", []string{oidc.ScopeOpenID, "profile"}, "scopes to ask for")
	c.Flags().StringVar(&file, "token-file", "", "where the token goes")
	return c
}

// discover finds the provider's endpoints. Use the context that it returns to reach them.
func (s *session) discover(ctx context.Context) (context.Context, error) {
	client, err := identity.Client(s.CA)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, client)
	provider, err := oidc.NewProvider(ctx, s.Issuer)
	if err != nil {
		return nil, fmt.Errorf("the identity provider cannot be reached: %w", err)
	}
	s.provider = oauth2.Config{ClientID: s.Client, Endpoint: provider.Endpoint(), Scopes: s.Scopes}
	return ctx, nil
}

func (s *session) take(t *oauth2.Token) error {
	id, ok := t.Extra("id_token").(string)
	if !ok {
		return errors.New("the provider gave no ID token; ask for the scope openid")
	}
	s.Token, s.Expires = id, t.Expiry
	if t.RefreshToken != "" {
		s.Refresh = t.RefreshToken
	}
	return nil
}

// write replaces the file in one step.
func (s *session) write(file string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".token-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// renewBefore is how long before its expiry a token is renewed.
const renewBefore = 30 * time.Second

// bearer returns the token of a session. It renews the token if necessary and possible.
func bearer(ctx context.Context, file string, b []byte) (string, error) {
	var s session
	if err := json.Unmarshal(b, &s); err != nil || s.Token == "" {
		return "", fmt.Errorf("%s holds no token; run: intramuros login", file)
	}
	if s.Expires.IsZero() || time.Until(s.Expires) > renewBefore {
		return s.Token, nil
	}
	again := fmt.Errorf("the token in %s has run out; run: intramuros login --issuer %s --client %s --token-file %s", file, s.Issuer, s.Client, file)
	if s.Refresh == "" {
		return "", again
	}
	ctx, err := s.discover(ctx)
	if err != nil {
		return "", err
	}
	t, err := s.provider.TokenSource(ctx, &oauth2.Token{RefreshToken: s.Refresh}).Token()
	if err != nil {
		return "", again
	}
	if err := s.take(t); err != nil {
		return "", err
	}
	return s.Token, s.write(file)
}
