package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// authority issues certificates, as a hospital's own authority does.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.certificate = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	a.pem, _, a.key = a.sign(t, a.certificate)
	return a
}

// issue returns certificate and key, in PEM, for a name and a validity relative to now.
func (a *authority) issue(t *testing.T, name string, from, to time.Duration, use x509.ExtKeyUsage) (certificate, key []byte) {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to), ExtKeyUsage: []x509.ExtKeyUsage{use}}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{name}
	}
	certificate, key, _ = a.sign(t, c)
	return certificate, key
}

func (a *authority) sign(t *testing.T, c *x509.Certificate) (certificate, key []byte, own *ecdsa.PrivateKey) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	by := a.key
	if by == nil {
		by = own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.certificate, own.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), own
}

// TestTLS checks that the server's certificate and name are verified by the hospital's own authority. The node shows a
// password from a file by SCRAM, or a certificate, or both. Errors reveal no secrets.
func TestTLS(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	folder := t.TempDir()
	file := func(name string, text []byte) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours, theirs := newAuthority(t), newAuthority(t)
	serve := func(a *authority, name string, from, to time.Duration, use x509.ExtKeyUsage) {
		t.Helper()
		certificate, key := a.issue(t, name, from, to, use)
		s.TLS(t, certificate, key, ours.pem)
	}
	good := func() { serve(ours, "127.0.0.1", -time.Hour, time.Hour, x509.ExtKeyUsageServerAuth) }
	client := func(a *authority, name, as string) TLS {
		certificate, key := a.issue(t, name, -time.Hour, time.Hour, x509.ExtKeyUsageClientAuth)
		return TLS{Mode: "verify", CA: filepath.Join(folder, "ca.pem"), Certificate: file(as+".pem", certificate), Key: file(as+".key", key)}
	}
	file("ca.pem", ours.pem)
	cfg := over(s, s.Fill(t))
	cfg.Host, cfg.Password = "127.0.0.1", config.Secret{File: file("password", []byte(postgrestest.Password+"\n"))}
	cfg.TLS = TLS{Mode: "verify", CA: filepath.Join(folder, "ca.pem")}
	wrong := file("wrong", []byte("a wrong secret\n"))
	mine, others, strange := client(ours, postgrestest.Reader, "mine"), client(ours, "somebody", "others"), client(theirs, postgrestest.Reader, "strange")

	const byPassword, byCertificate, byBoth = "hostssl all all 127.0.0.1/32 scram-sha-256", "hostssl all all 127.0.0.1/32 cert", "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full"
	for _, test := range []struct {
		name   string
		access string
		server func()
		change func(*Config)
		want   string // the expected error; empty for none
	}{
		{name: "a password"},
		{name: "a certificate", access: byCertificate, change: func(c *Config) { c.Password, c.TLS = config.Secret{}, mine }},
		{name: "a password and a certificate", access: byBoth, change: func(c *Config) { c.TLS = mine }},
		{name: "by the name of the machine", server: func() { serve(ours, "localhost", -time.Hour, time.Hour, x509.ExtKeyUsageServerAuth) }, change: func(c *Config) { c.Host = "localhost" }},

		{name: "another authority", server: func() { serve(theirs, "127.0.0.1", -time.Hour, time.Hour, x509.ExtKeyUsageServerAuth) }, want: "not of an authority in `tls.ca`"},
		{name: "the system's authorities", change: func(c *Config) { c.TLS.CA = "" }, want: "not of an authority in `tls.ca`"},
		{name: "another machine", server: func() { serve(ours, "192.0.2.1", -time.Hour, time.Hour, x509.ExtKeyUsageServerAuth) }, want: "of another name than `host`"},
		{name: "expired", server: func() { serve(ours, "127.0.0.1", -2*time.Hour, -time.Hour, x509.ExtKeyUsageServerAuth) }, want: "has expired"},
		{name: "a client's certificate", server: func() { serve(ours, "127.0.0.1", -time.Hour, time.Hour, x509.ExtKeyUsageClientAuth) }, want: "not one of a server"},
		{name: "no TLS at the server", server: func() { s.Exec(t, "ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()") }, want: "has no TLS"},
		{name: "no TLS at the node", change: func(c *Config) { c.TLS = TLS{Mode: "off"} }, want: "pg_hba.conf decides"},
		{name: "wrong password", change: func(c *Config) { c.Password.File = wrong }, want: "refused the user, the password or the certificate"},
		{name: "no password", change: func(c *Config) { c.Password = config.Secret{} }, want: "refused the user, the password or the certificate"},
		{name: "no certificate", access: byCertificate, want: "refused the user, the password or the certificate"},
		{name: "somebody's certificate", access: byCertificate, change: func(c *Config) { c.TLS = others }, want: "refused the user, the password or the certificate"},
		{name: "a strange certificate", access: byCertificate, change: func(c *Config) { c.TLS = strange }, want: "may want another client certificate"},
		{name: "a password in a file that others read", change: func(c *Config) {
			c.Password.File = file("open", []byte(postgrestest.Password))
			if err := os.Chmod(c.Password.File, 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: "mode"},
		{name: "no authority", change: func(c *Config) { c.TLS.CA = filepath.Join(folder, "none.pem") }, want: "none.pem"},
		{name: "no PEM", change: func(c *Config) { c.TLS.CA = wrong }, want: "holds no certificate"},
		{name: "another's key", change: func(c *Config) { c.TLS = mine; c.TLS.Key = others.Key }, want: "tls.certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			good()
			if test.server != nil {
				test.server()
			}
			if test.access == "" {
				test.access = byPassword
			}
			s.Access(t, test.access)
			changed := cfg
			if test.change != nil {
				test.change(&changed)
			}
			// The server takes its new configuration a moment later.
			var err error
			var text string
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				var e *Engine
				e, err = Open(context.Background(), changed, c, enginetest.Hospital, []byte(testKey))
				if err == nil {
					e.Close()
				}
				if text = told(err); err == nil && test.want == "" || test.want != "" && strings.Contains(text, test.want) {
					break
				}
			}
			if (err == nil) != (test.want == "") || !strings.Contains(text, test.want) {
				t.Errorf("%v: %s; want %q", err, text, test.want)
			}
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				for _, secret := range []string{postgrestest.Password, "a wrong secret", "PRIVATE"} {
					if strings.Contains(cause.Error(), secret) {
						t.Errorf("the error shows a secret: %v", cause)
					}
				}
			}
		})
	}
}

// told is what the log says about an error.
func told(err error) string {
	var fault *engine.Fault
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return fault.Class()
	}
	return err.Error()
}
