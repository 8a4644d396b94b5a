package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The device flow against a provider that makes the client wait, and the renewal of its token.
func TestLogin(t *testing.T) {
	var polls, renewals atomic.Int32
	var p *httptest.Server
	mux := http.NewServeMux()
	write := func(w http.ResponseWriter, code int, body map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/certs", "authorization_endpoint": p.URL + "/auth",
			"token_endpoint": p.URL + "/token", "device_authorization_endpoint": p.URL + "/device"})
	})
	mux.HandleFunc("/device", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_id") != "intramuros" || !strings.Contains(r.FormValue("scope"), "openid") {
			t.Errorf("asked with %v", r.Form)
		}
		write(w, http.StatusOK, map[string]any{"device_code": "d-1", "user_code": "WXYZ", "verification_uri": p.URL + "/verify", "expires_in": 60, "interval": 1})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("grant_type") {
		case "urn:ietf:params:oauth:grant-type:device_code":
			if polls.Add(1) == 1 {
				write(w, http.StatusBadRequest, map[string]any{"error": "authorization_pending"})
				return
			}
			write(w, http.StatusOK, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": "first.id.token", "refresh_token": "r-1", "expires_in": 1})
		case "refresh_token":
			if r.FormValue("refresh_token") != "r-1" {
				t.Errorf("renewed with %q", r.FormValue("refresh_token"))
			}
			renewals.Add(1)
			write(w, http.StatusOK, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": "second.id.token", "expires_in": 300})
		}
	})
	p = httptest.NewTLSServer(mux)
	defer p.Close()
	folder := t.TempDir()
	ca, file := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "token")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := Run(t.Context(), []string{"login", "--issuer", p.URL, "--client", "intramuros", "--idp-ca", ca, "--token-file", file}, nil, &out, &out); code != 0 {
		t.Fatalf("exit %d: %s", code, out.String())
	}
	if !strings.Contains(out.String(), p.URL+"/verify and enter the code WXYZ") || strings.Contains(out.String(), "id.token") {
		t.Errorf("%s", out.String())
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	c := client{tokenFile: file}
	for range 2 { // renewed once
		if token, err := c.token(t.Context()); err != nil || token != "second.id.token" {
			t.Errorf("%q, %v", token, err)
		}
	}
	if renewals.Load() != 1 {
		t.Errorf("renewed %d times", renewals.Load())
	}
	s := session{Issuer: p.URL, Client: "intramuros", Token: "x", Expires: time.Now()}
	if err := s.write(file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.token(t.Context()); err == nil || !strings.Contains(err.Error(), "intramuros login") {
		t.Errorf("without a way to renew: %v", err)
	}
}
