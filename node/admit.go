package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// policy decides what may be asked. It reads no data.
type policy struct {
	name       string // the hospital's name
	federation string
	catalog    *catalog.Catalog
	keyless    *catalog.Catalog // the same without the keys that do not hold here; nil if all hold
	digest     string
	engine     Engine
	budget     dp.Budget
	people     *identity.Verifier
	studies    *study.Registry
	limits     Limits
	sealed     Sealed
	peers      study.Keys // the keys of the other hospitals' ledgers, by name
	spreads    *spreads
}

// verified is the result of comparing a state of the data with the catalog.
type verified struct {
	version string
	wrong   map[string]bool // tables that contradict the catalog; no query may read them
}

// verify compares the data with the catalog.
func verify(ctx context.Context, d Data) (*verified, error) {
	version, err := d.DataVersion(ctx)
	if err != nil {
		return nil, err
	}
	tables, err := d.Verify(ctx)
	if err != nil {
		return nil, err
	}
	v := &verified{version: version, wrong: map[string]bool{}}
	for _, t := range tables {
		v.wrong[strings.ToLower(t)] = true
	}
	return v, nil
}

// checked is a fragment that this node can run, from a researcher who may ask it.
type checked struct {
	request *fragment.Request
	proof   *fragment.Proof
	study   *study.Document // the terms in force here
	sql     string          // what the engine would run
	caveats []fragment.Caveat
}

// admitted is a fragment that this node may run, with its price.
type admitted struct {
	checked
	loss dp.Loss
	caps []ledger.Cap
}

var queryID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// decode reads a request. The names in it are safe to log and to record.
func decode(body []byte) (*fragment.Request, error) {
	r, err := fragment.DecodeRequest(body)
	switch {
	case err != nil:
		return nil, refuse(CodeRequest, err)
	case !queryID.MatchString(r.Query):
		return nil, refuse(CodeRequest, errors.New("the query's id is not 32 hexadecimal digits"))
	case !study.ValidID(r.Study) || !identity.ValidName(r.Researcher):
		return nil, refuse(CodeRequest, errors.New("the study's or the researcher's name is not a plain one"))
	}
	return r, nil
}

// permit decides whether this researcher may ask here under this study, and returns the study's terms. It does not rely
// on the coordinator's word.
func (p *policy) permit(ctx context.Context, r *fragment.Request, now time.Time) (*study.Document, error) {
	document, err := p.open(r.Study, now)
	if err != nil {
		return nil, err
	}
	who, err := p.people.Verify(ctx, r.Token)
	switch {
	case err != nil:
		return nil, refuse(CodeToken, err)
	case who.Name != r.Researcher:
		return nil, refuse(CodeToken, errors.New("the token is somebody else's"))
	case !who.Has(identity.RoleResearcher), !document.Admits(who.Name):
		return nil, refuse(CodeResearcher, nil)
	}
	return document, nil
}

// open returns the terms of a study that is open and includes this hospital.
func (p *policy) open(id string, now time.Time) (*study.Document, error) {
	s, ok := p.studies.Study(id)
	switch {
	case !ok:
		return nil, refuse(CodeStudy, errors.New("no such study"))
	case s.Failed:
		return nil, refuse(CodeFailures, study.ErrFailures)
	case !s.Open(now):
		return nil, refuse(CodeStudy, fmt.Errorf("the study is %s, or past its last day", s.Status))
	case !s.Approved.IncludesHospital(p.name):
		return nil, refuse(CodeStudy, errors.New("the study does not ask this hospital"))
	}
	return s.Approved, nil
}

// check proves that this node can run the fragment over that data, under the terms of permit.
func (p *policy) check(ctx context.Context, r *fragment.Request, document *study.Document, over *verified) (checked, error) {
	if r.Fragment.Catalog != p.digest {
		return checked{}, refuse(CodeCatalog, fmt.Errorf("the query's catalog is %.12s, ours %.12s", r.Fragment.Catalog, p.digest))
	}
	proof, err := fragment.Check(&r.Fragment, p.catalog)
	if err != nil {
		return checked{}, refuse(CodeFragment, err)
	}
	if err := r.Verify(proof); err != nil {
		return checked{}, refuse(CodeFragment, err)
	}
	if err := p.checkCover(r, proof, document); err != nil {
		return checked{}, err
	}
	if p.keyless != nil {
		without, err := fragment.Check(&r.Fragment, p.keyless)
		if err != nil || !reflect.DeepEqual(proof, without) {
			return checked{}, refuse(CodeSource, errors.New("the query rests on a key that node.yaml says is none"))
		}
	}
	if err := (scope{p.catalog, document}).check(&r.Fragment); err != nil {
		return checked{}, &refusal{Code: CodeScope, cause: err, told: true}
	}
	if f := r.Fragment; f.MaxGroups > p.limits.MaxGroups || f.MaxRows > p.limits.MaxRows {
		return checked{}, refuse(CodeLimit, fmt.Errorf("max_groups is %d of %d, max_rows %d of %d", f.MaxGroups, p.limits.MaxGroups, f.MaxRows, p.limits.MaxRows))
	}
	// The coordinator gets the same answer as for a table that is not mapped, because whether the data keeps the catalog's
	// promises depends on the data.
	for _, table := range r.Fragment.Tables() {
		if over.wrong[strings.ToLower(table)] {
			return checked{}, refuse(CodeSource, fmt.Errorf("the data of table %s contradicts the catalog", table))
		}
	}
	if err := p.spreads.check(ctx, p, &r.Fragment, over); err != nil {
		return checked{}, err
	}
	sql, caveats, err := p.engine.Compile(&r.Fragment, proof)
	switch limit := new(fragment.Limit); {
	case errors.As(err, &limit): // its text depends on the query only
		return checked{}, &refusal{Code: CodeTooLarge, cause: err, told: true}
	case err != nil:
		return checked{}, refuse(CodeSource, err)
	}
	return checked{r, proof, document, sql, caveats}, nil
}

// admit decides whether the query may be asked under the terms of permit, and prices it.
func (p *policy) admit(ctx context.Context, r *fragment.Request, document *study.Document, over *verified) (admitted, error) {
	c, err := p.check(ctx, r, document, over)
	if err != nil {
		return admitted{}, err
	}
	loss, err := r.Price()
	if err != nil {
		return admitted{}, refuse(CodeFragment, err)
	}
	most, err := c.study.MaxLoss()
	if err != nil {
		return admitted{}, refuse(CodeLimit, err)
	}
	if !r.Within(loss, most, c.study.Budget.Accounting) {
		return admitted{}, refuse(CodeLimit, fmt.Errorf("epsilon is %g in each of %d releases, and a query of the study may cost %g",
			r.Noise.Epsilon, max(1, r.Releases), c.study.MaxEpsilon))
	}
	least, err := c.study.Cheapest()
	if err != nil {
		return admitted{}, refuse(CodePrice, err)
	}
	if !r.Suffices(loss, least, c.study.Budget.Accounting) {
		return admitted{}, refuse(CodePrice, fmt.Errorf("%s noise of epsilon %g costs less than a release of the study must, that of epsilon %g",
			r.Noise.Mechanism, r.Noise.Epsilon, c.study.LeastEpsilon()))
	}
	caps := []ledger.Cap{{Scope: scopeStudy(r.Study), Budget: c.study.Budget}, {Scope: scopeNode, Budget: p.budget}}
	return admitted{c, loss, caps}, nil
}

const scopeNode = "node"

func scopeStudy(name string) string { return "study:" + name }
