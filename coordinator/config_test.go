package coordinator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The documentation is a configuration, and shows every key.
func TestDocumentedConfig(t *testing.T) {
	c, err := LoadConfig("../docs/coordinator.yaml")
	must(t, err)
	if c.Require.of(len(c.Hospitals)) != 4 || c.QueryTimeout != 5*time.Minute || c.Nodes.CA != "../docs/pki/ca.pem" || c.Catalog != "builtin:omop-5.4" {
		t.Errorf("%+v", c)
	}
	if s := c.Studies["diabetes-2027"]; !s.Expires.Equal(time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC)) || s.Delta != 1e-8 {
		t.Errorf("%+v", s)
	}
	if c.AnswerGrid != defaultGrid {
		t.Errorf("the default grid is not what the documentation says: %v", c.AnswerGrid)
	}
	if b := c.Researchers["alice"].Budget; b == nil || b.Epsilon != 12 || c.Researchers["bob"].Budget != nil {
		t.Errorf("%+v", c.Researchers)
	}
	if _, err := c.Researchers["alice"].hash(); err != nil {
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
		{"{accounting: zcdp", "{accounting: none", "study diabetes-2027: `budget`"},
		{"max_epsilon: 1 ", "max_epsilon: 0 ", "`max_epsilon` is not set"},
		{"default_epsilon: 0.2", "default_epsilon: 2", "at most `max_epsilon`"},
		{"researchers: [alice, bob]", "researchers: [alice, eve]", "researcher eve is not among"},
		{"bob: {token: {file: tokens/bob}}", "bob: {}", "researcher bob: give one of"},
		{"epsilon: 12,", "epsilon: 0,", "researcher alice: `budget`"},
		{"ratio: 1.2}", "ratio: 1}", "`answer_grid`"},
		{"first: 25ms", "first: 0s", "`answer_grid`"},
		{"query_timeout: 5m", "query_timeout: 0s", "must be above 0"},
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
