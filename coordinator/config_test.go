package coordinator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/identity"
)

// The documentation is a configuration, and shows every key.
func TestDocumentedConfig(t *testing.T) {
	c, err := LoadConfig("../docs/coordinator.yaml")
	must(t, err)
	if c.Require.of(len(c.Hospitals)) != 4 || c.QueryTimeout != 5*time.Minute || c.Nodes.CA != "../docs/pki/ca.pem" || c.Catalog != "builtin:omop-5.4" {
		t.Errorf("%+v", c)
	}
	if c.Operators["olga"] != "../docs/keys/olga.pub" || c.Limits != DefaultLimits || len(c.Issuers) != 1 || c.Issuers[0].Suffix != "@chu-bordeaux" {
		t.Errorf("%+v", c)
	}
	if r := c.Researchers["bob"].roles(); len(r) != 2 || len(c.Researchers["alice"].roles()) != 1 {
		t.Errorf("%v", r)
	}
	if p := c.SignIn.Providers["bordeaux"]; p.Issuer != c.Issuers[0].Issuer || p.Secret.File != "../docs/secrets/idp-client" || len(p.Scopes) != 1 {
		t.Errorf("%+v", c.SignIn)
	}
	if c.AnswerGrid != grid.Default {
		t.Errorf("the default grid is not what the documentation says: %v", c.AnswerGrid)
	}
	if b := c.Researchers["alice"].Budget; b == nil || b.Epsilon != 12 || c.Researchers["bob"].Budget != nil {
		t.Errorf("%+v", c.Researchers)
	}
	if _, err := c.Researchers["alice"].hash(); err != nil {
		t.Error(err)
	}
	book := identity.NewBook(nil)
	if err := c.Researchers["alice"].enter(book, "alice"); err != nil || !book.Has("alice") {
		t.Error(err)
	}
}

func TestConfigProblems(t *testing.T) {
	base, err := os.ReadFile("../docs/coordinator.yaml")
	must(t, err)
	for _, test := range []struct{ old, new, want string }{
		{"federation: gironde", "federation: ''", "`federation` is not set"},
		{"ledger: coordinator.ledger", "ledgr: x", "did you mean `ledger`?"},
		{"require: all", "require: 5", "`require` is 5, and there are 4 hospitals"},
		{"require: all", "require: 0", "must be `all` or a number"},
		{"langon", "Langon", "lower-case"},
		{"langon", "bordeaux", `"bordeaux" is named twice`},
		{"confidence: 0.95", "confidence: 95", "`confidence` is 95"},
		{"bob: {token: {file: tokens/bob}, ", "bob: {", "researcher bob: give one of"},
		{"bob: {token: ", "bob: {scram: x, token: ", "researcher bob: `scram` stands beside"},
		{"roles: [researcher, operator]", "roles: [root]", `role "root"`},
		{"per_minute: 120 ", "per_minute: 0 ", "`limits`"},
		{"audience: intramuros ", "audience: '' ", "`issuer` and `audience` are needed"},
		{`"@chu-bordeaux"`, "chu", "`suffix` must look like"},
		{"epsilon: 12,", "epsilon: 0,", "researcher alice: `budget`"},
		{"address: https://query.gironde.example", "address: http://query.gironde.example", "`sign_in.address`"},
		{"address: https://query.gironde.example", "address: https://query.gironde.example/console", "`sign_in.address`"},
		{"      issuer: https://idp.chu", "      issuer: https://idp2.chu", "is none of `issuers`"},
		{"    bordeaux:", "    Bordeaux:", "`sign_in.providers`"},
		{"diabetes-2027: 0.02}", "diabetes-2027: 0.2}", "`first_profiles`"},
		{"diabetes-2027: 0.02}", "diabetes-2027: 0}", "`first_profiles`"},
		{"diabetes-2027: 0.02}", "diabetes-2027: .nan}", "`first_profiles`"},
		{"{diabetes-2027: 0.02}", "{Diabetes: 0.02}", "`first_profiles`"},
		{"ratio: 1.2}", "ratio: 1}", "`answer_grid`"},
		{"first: 5ms", "first: 0s", "`answer_grid`"},
		{"query_timeout: 5m", "query_timeout: 0s", "must be above 0"},
		{"  key: {file: pki/gossip.key}", "", "`gossip.key` is not set"},
		{"  listen: 0.0.0.0:7946", "", "`gossip.listen` is not set"},
		{"  listen: 0.0.0.0:8444", "  listen: everywhere", "`door.listen` must be host:port"},
	} {
		changed := strings.Replace(string(base), test.old, test.new, 1)
		if changed == string(base) {
			t.Errorf("%q is not in the documentation", test.old)
			continue
		}
		path := filepath.Join(t.TempDir(), "coordinator.yaml")
		must(t, os.WriteFile(path, []byte(changed), 0o600))
		if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, not %s", test.new, err, test.want)
		}
	}
}

// Gossip may be left out if hospitals dial out, but not if no hospital could connect.
func TestGossipIsOptional(t *testing.T) {
	b, err := os.ReadFile("../docs/coordinator.yaml")
	must(t, err)
	from, to := strings.Index(string(b), "\ngossip:"), strings.Index(string(b), "\n# The door for hospitals")
	without := string(b[:from]) + string(b[to:])
	for _, test := range []struct{ listen, webSocket, want string }{
		{"0.0.0.0:8444", "true", ""},
		{"0.0.0.0:8444", "false", ""},
		{`""`, "true", ""},
		{`""`, "false", "no hospital could be reached"},
	} {
		text := strings.NewReplacer("listen: 0.0.0.0:8444", "listen: "+test.listen, "websocket: true", "websocket: "+test.webSocket).Replace(without)
		path := filepath.Join(t.TempDir(), "coordinator.yaml")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		c, err := LoadConfig(path)
		if test.want == "" && (err != nil || c.Gossip.Given()) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestTokens(t *testing.T) {
	good := Access{TokenSHA256: strings.Repeat("ab", 32)}
	if _, err := good.hash(); err != nil {
		t.Error(err)
	}
	t.Setenv("SHORT", "short")
	bad := Access{}
	bad.Token.Env = "SHORT"
	for _, c := range []Access{{TokenSHA256: "abc"}, {TokenSHA256: strings.Repeat("xy", 32)}, bad} {
		if _, err := c.hash(); err == nil || strings.Contains(err.Error(), "abc") {
			t.Errorf("%v", err)
		}
	}
}
