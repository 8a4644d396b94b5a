package console

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/identity"
)

// journal is a node's log.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// Each visitor is admitted by name, with their own token or as a provider says, and the log tells who looked and who
// acted. A researcher of the same provider, or a token for another page, is not admitted. No token is logged.
func TestEntrance(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	pinned := filepath.Join(t.TempDir(), "idp.pem")
	must(t, os.WriteFile(pinned, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	issue := func(issuer, audience, name string, when time.Time, roles ...identity.Role) string {
		l, err := identity.NewLocal(issuer, audience, key, func() time.Time { return when })
		must(t, err)
		token, err := l.Token(name, roles)
		must(t, err)
		return token
	}
	const idp, own = "https://idp.example", "claire's own token"
	j := &journal{}
	s := newServer(t)
	h, err := newHandler(s.custodian, s.book, Admission{
		Token: []byte(token), People: map[string][]byte{"claire": []byte(own), "dora@chu": nil},
		Issuers: []identity.Issuer{{Issuer: idp, Audience: "custodians", Keys: pinned, Suffix: "@chu", RolesClaim: "roles"}},
	}, slog.New(slog.NewTextHandler(j, nil)))
	must(t, err)
	s.Close()
	s.Server = httptest.NewServer(h)
	t.Cleanup(s.Server.Close)

	now := time.Now()
	for _, c := range []struct {
		bearer, you string
		status      int
	}{
		{token, nobody, 200}, {own, "claire", 200},
		{issue(idp, "custodians", "bert", now, identity.RoleCustodian), "bert@chu", 200},
		{issue(idp, "custodians", "dora", now, identity.RoleResearcher), "dora@chu", 200}, // by name
		{issue(idp, "custodians", "eve", now, identity.RoleResearcher), "", 403},
		{issue(idp, "custodians", "claire", now), "", 403}, // claire signs in with her token, and this is claire@chu
		{issue(idp, "intramuros", "bert", now, identity.RoleCustodian), "", 401},
		{issue(idp, "custodians", "bert", now.Add(-time.Hour), identity.RoleCustodian), "", 401},
		{issue("https://other.example", "custodians", "bert", now, identity.RoleCustodian), "", 401},
		{"x.y.z", "", 401}, {"", "", 401},
	} {
		var got struct {
			You string `json:"you"`
		}
		if status := s.do(t, "GET", "/v1/standing", "", c.bearer, &got); status != c.status || got.You != c.you {
			t.Errorf("%.30s: %d, %q; want %d, %q", c.bearer, status, got.You, c.status, c.you)
		}
	}
	s.do(t, "GET", "/v1/entries?kind=charge&study=copd", "", own, nil)
	s.do(t, "POST", "/v1/hold", `{"on": true, "reason": "An incident."}`, own, nil)
	if s.hold.By != "claire" || !s.hold.On {
		t.Errorf("the stop is %+v", s.hold)
	}
	s.do(t, "POST", "/v1/hold", `{"on": false}`, token, nil)
	if s.hold.By != "" {
		t.Errorf("the bearer of the token without a name is %q in the ledger", s.hold.By)
	}
	log := j.String()
	for _, want := range []string{"person=claire method=GET path=/v1/entries study=copd kind=charge", "person=claire method=POST path=/v1/hold", "person=bert@chu method=GET", "let nobody in\" path=/v1/standing person=eve@chu"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, own) || strings.Contains(log, token) || strings.Contains(log, "eyJ") {
		t.Errorf("a token is in the log:\n%s", log)
	}
	for name, e := range map[string]Admission{
		"nobody": {}, "a short token of a person": {People: map[string][]byte{"claire": []byte("short")}},
		"one token of two": {People: map[string][]byte{"claire": []byte(own), "bert": []byte(own)}},
	} {
		if _, err := newHandler(s.custodian, s.book, e, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
