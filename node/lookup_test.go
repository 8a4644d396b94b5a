package node

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/value"
)

// reader is a public table with that many wards.
type reader struct {
	catalog *catalog.Catalog
	wards   int
	none    error
	fail    error
	takes   time.Duration
}

func (r *reader) CompileReading(*fragment.Reading) (string, error) {
	return "SELECT name FROM ward", r.none
}

func (r *reader) Look(_ context.Context, of *fragment.Reading, take func([]value.Value) error) error {
	time.Sleep(r.takes)
	for i := range min(r.wards, of.Limit) {
		if err := take([]value.Value{value.Text(strings.Repeat("w", i%5))}); err != nil {
			return err
		}
	}
	return r.fail
}

// TestLookup checks that rows of public tables leave for those who may ask under an open study, up to the custodian's
// limit, and that the ledger records it. Nothing about patients leaves, and nothing is charged.
func TestLookup(t *testing.T) {
	c := testConfig(federation(t))
	c.Limits.PublicRows = 20
	public := &reader{catalog: testCatalog(t), wards: 12}
	wards := &fragment.Query{Relations: []fragment.Relation{{Name: "ward", Table: "ward"}}, Columns: []fragment.Output{{Name: "name", Expr: expr.Column("ward", "name", value.TypeText)}}}
	e := newEngine()
	h := start(t, c, e, func(n *Node) { n.service.public = public })
	client := h.client(t, "coordinator-paris")
	lookup := func(change func(*fragment.Lookup)) (*fragment.Found, error) {
		l := &fragment.Lookup{Query: "0123456789abcdef0123456789abcdef", Study: "copd", Researcher: "ada", Token: token("ada"), Catalog: h.catalog.Digest(), Reading: fragment.Reading{Relation: wards, Limit: 100}}
		if change != nil {
			change(l)
		}
		body, err := json.Marshal(l)
		must(t, err)
		var f fragment.Found
		return &f, act(t.Context(), client, actionLookup, body, &f)
	}
	if f, err := lookup(nil); err != nil || len(f.Rows) != 12 || *f.Rows[1][0] != "w" {
		t.Fatal(f, err)
	}
	var told []string
	must(t, h.service.ledger.Entries(t.Context(), 1, func(e ledger.Entry) error {
		if e.Kind == ledger.KindCharge || e.Kind == ledger.KindReserve {
			t.Errorf("a lookup was charged: %s", e.Text)
		}
		if e.Kind == ledger.KindAnswer {
			told = append(told, e.Text)
		}
		return nil
	}))
	if len(told) != 1 || !strings.HasPrefix(told[0], "12 rows of what is public by the catalog (ward) left for ") {
		t.Errorf("the ledger tells %q", told)
	}

	patients := &fragment.Query{Relations: []fragment.Relation{{Name: "patient", Table: "patient"}}, Columns: []fragment.Output{{Name: "id", Expr: expr.Column("patient", "id", value.TypeInt)}}}
	named := *patients
	named.Patient = "id"
	for _, d := range []*fragment.Query{patients, &named, nil} {
		_, err := lookup(func(l *fragment.Lookup) { l.Relation = d })
		wantCode(t, err, CodeFragment)
	}
	for want, change := range map[Code]func(*fragment.Lookup){
		CodeStudy:      func(l *fragment.Lookup) { l.Study = "over" },
		CodeToken:      func(l *fragment.Lookup) { l.Token = token("ben") },
		CodeResearcher: func(l *fragment.Lookup) { l.Study = "nobody" },
		CodeCatalog:    func(l *fragment.Lookup) { l.Catalog = strings.Repeat("0", 64) },
		CodeRequest:    func(l *fragment.Lookup) { l.Query = "x" },
	} {
		_, err := lookup(change)
		wantCode(t, err, want)
	}
	many := &fragment.Query{Relations: []fragment.Relation{{Name: "a", Table: "ward"}, {Name: "b", Table: "ward", Join: fragment.JoinCross}}, Columns: []fragment.Output{{Name: "n", Expr: expr.Column("a", "name", value.TypeText)}}}
	_, err := lookup(func(l *fragment.Lookup) { l.Relation = many })
	if err == nil || !strings.Contains(err.Error(), string(CodeSpread)) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a lookup of 10^12 rows: %v", err)
	}
	refused := func(want Code) {
		t.Helper()
		_, err := lookup(nil)
		wantCode(t, err, want)
	}
	public.wards = 21
	refused(CodePublic)
	if f, err := lookup(func(l *fragment.Lookup) { l.Limit = 20 }); err != nil || len(f.Rows) != 20 {
		t.Error(f, err)
	}
	public.wards, public.none = 3, errors.New("no such table")
	refused(CodeSource)
	public.none, public.fail = nil, errors.New("a row says SECRET")
	refused(CodeEngine)
	public.fail = nil
	h.service.limits.PublicRows = 0
	refused(CodePublic)
	h.service.limits.PublicRows = 20
	e.set("v2") // nobody has compared it with the catalog
	refused(CodeData)
	if strings.Contains(h.log.String(), "SECRET") {
		t.Error("the log quotes a row")
	}
}

// TestLookupsEndAtTicks checks that the time of a lookup, which depends on other work such as a query about patients,
// is visible only as a tick. The same holds for a failure.
func TestLookupsEndAtTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fail := range []error{nil, errors.New("no memory")} {
			at := map[time.Duration]time.Duration{}
			for _, takes := range []time.Duration{112 * time.Millisecond, 132 * time.Millisecond, 134 * time.Millisecond} {
				s := &service{public: &reader{wards: 1, fail: fail, takes: takes}}
				s.limits.PublicRows, s.limits.QueryTimeout = 10, time.Minute
				started := time.Now()
				if _, err := s.look(t.Context(), &fragment.Reading{Limit: 1}); (err != nil) != (fail != nil) {
					t.Error(err)
				}
				at[takes] = time.Since(started)
			}
			if at[112*time.Millisecond] != at[132*time.Millisecond] || at[134*time.Millisecond] == at[132*time.Millisecond] {
				t.Errorf("%v: %v", fail, at)
			}
		}
	})
}
