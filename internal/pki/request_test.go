package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var nodeOfLyon = Identity{Federation: "france", Role: RoleNode, Name: "lyon"}

func authorityIn(t *testing.T) (*Authority, string) {
	t.Helper()
	dir := t.TempDir()
	a, err := CreateAuthority(dir, "france", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func requestIn(t *testing.T, dir string, id Identity) (request []byte, fingerprint string) {
	t.Helper()
	fingerprint, err := CreateRequest(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	request, err = os.ReadFile(filepath.Join(dir, id.Role+"-"+id.Name+".csr"))
	if err != nil {
		t.Fatal(err)
	}
	return request, fingerprint
}

// The key is made at the hospital and is never at the authority. Both sides read the same fingerprint, the certificate
// works, and a renewal is for the same key.
func TestRequest(t *testing.T) {
	a, operator := authorityIn(t)
	hospital := t.TempDir()
	request, asked := requestIn(t, hospital, nodeOfLyon)
	signed, err := a.Sign(operator, request, nodeOfLyon, nil, time.Hour)
	if err != nil || asked != signed || len(asked) != 39 {
		t.Fatalf("%q, %q, %v", asked, signed, err)
	}
	files, err := filepath.Glob(filepath.Join(operator, "*"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(hospital, "node-lyon.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(hospital, "node-lyon.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, %v", info.Mode(), err)
	}
	block, _ := pem.Decode(key)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), string(block.Bytes)) || strings.HasSuffix(f, "lyon.key") {
			t.Errorf("%s has the hospital's key", f)
		}
	}
	if strings.Contains(string(request), "PRIVATE") {
		t.Error("the request has a private key")
	}
	certificate, err := os.ReadFile(filepath.Join(operator, "node-lyon.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hospital, "node-lyon.pem"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(hospital, "node-lyon.pem"), filepath.Join(hospital, "node-lyon.key"))
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Leaf.URIs) != 1 || pair.Leaf.URIs[0].String() != nodeOfLyon.String() || pair.Leaf.IsCA {
		t.Errorf("the certificate is for %v", pair.Leaf.URIs)
	}
	if _, err := ServerTLS(filepath.Join(operator, "ca.pem"), filepath.Join(hospital, "node-lyon.pem"), filepath.Join(hospital, "node-lyon.key"), RoleCoordinator); err != nil {
		t.Error(err)
	}
	if _, again := requestIn(t, hospital, nodeOfLyon); again != asked {
		t.Error("a renewal is for another key")
	}
}

func TestSignRefuses(t *testing.T) {
	a, operator := authorityIn(t)
	request, _ := requestIn(t, t.TempDir(), nodeOfLyon)
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(nodeOfLyon.String())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{uri}}, private)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(request)
	altered := append([]byte(nil), block.Bytes...)
	altered[len(altered)-1] ^= 1
	encode := func(b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: requestType, Bytes: b}) }
	paris := Identity{Federation: "france", Role: RoleCoordinator, Name: "paris"}
	for name, c := range map[string]struct {
		request []byte
		id      Identity
		days    time.Duration
	}{
		"another hospital's name": {request, Identity{Federation: "france", Role: RoleNode, Name: "nantes"}, time.Hour},
		"another role":            {request, paris, time.Hour},
		"another federation":      {request, Identity{Federation: "spain", Role: RoleNode, Name: "lyon"}, time.Hour},
		"no validity":             {request, nodeOfLyon, 0},
		"another kind of key":     {encode(der), nodeOfLyon, time.Hour},
		"an altered request":      {encode(altered), nodeOfLyon, time.Hour},
		"no request":              {[]byte("hello"), nodeOfLyon, time.Hour},
		"two requests":            {append(append([]byte(nil), request...), request...), nodeOfLyon, time.Hour},
	} {
		if _, err := a.Sign(operator, c.request, c.id, nil, c.days); err == nil {
			t.Errorf("%s is signed", name)
		}
	}
	if found, err := filepath.Glob(filepath.Join(operator, "*-*.pem")); err != nil || len(found) > 0 {
		t.Errorf("certificates are there: %v", found)
	}
}

// A key that others can read is not certified, nor is a file that is not a key.
func TestRequestRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node-lyon.key")
	requestIn(t, dir, nodeOfLyon)
	if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // the test needs a key that is refused
		t.Fatal(err)
	}
	if _, err := CreateRequest(dir, nodeOfLyon); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that all can read: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRequest(dir, nodeOfLyon); err == nil {
		t.Error("a file that is no key is taken")
	}
	if _, err := CreateRequest(dir, Identity{Federation: "france", Role: "king", Name: "lyon"}); err == nil {
		t.Error("a role that there is not")
	}
}
