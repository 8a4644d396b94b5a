package node

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
)

// policy decides what may be asked. It reads no data and does not change.
type policy struct {
	catalog *catalog.Catalog
	digest  string
	engine  Engine
	budget  dp.Budget
	studies map[string]Study
	limits  Limits
}

// verified is a state of the data that was compared with the catalog.
type verified struct {
	version string
	wrong   map[string]bool // tables that contradict it; nothing is computed over them
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

// checked is a fragment that this node can run.
type checked struct {
	request *fragment.Request
	proof   *fragment.Proof
	sql     string // what the engine would run
}

// admitted is a fragment that this node may run, for its price.
type admitted struct {
	checked
	loss dp.Loss
	caps []ledger.Cap
}

var queryID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// decode reads a request. Its names are safe to log and to record.
func decode(body []byte) (*fragment.Request, error) {
	r, err := fragment.DecodeRequest(body)
	switch {
	case err != nil:
		return nil, refuse(CodeRequest, err)
	case !queryID.MatchString(r.Query):
		return nil, refuse(CodeRequest, errors.New("the query's id is not 32 hexadecimal digits"))
	case !plainName.MatchString(r.Study) || !plainName.MatchString(r.Researcher):
		return nil, refuse(CodeRequest, errors.New("the study's or the researcher's name is not a plain one"))
	}
	return r, nil
}

// check proves that the fragment is one that this node can run over that data.
func (p *policy) check(r *fragment.Request, over *verified) (checked, error) {
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
	if f := r.Fragment; f.MaxGroups > p.limits.MaxGroups || f.MaxRows > p.limits.MaxRows {
		return checked{}, refuse(CodeLimit, fmt.Errorf("max_groups is %d of %d, max_rows %d of %d", f.MaxGroups, p.limits.MaxGroups, f.MaxRows, p.limits.MaxRows))
	}
	// The coordinator is told the same as of a table that is not mapped: whether the
	// data is as the catalog says depends on it.
	for _, table := range r.Fragment.Tables() {
		if over.wrong[strings.ToLower(table)] {
			return checked{}, refuse(CodeSource, fmt.Errorf("the data of table %s contradicts the catalog", table))
		}
	}
	sql, err := p.engine.Compile(&r.Fragment, proof)
	if err != nil {
		return checked{}, refuse(CodeSource, err)
	}
	return checked{r, proof, sql}, nil
}

// admit decides whether the researcher may ask this now, and prices it.
func (p *policy) admit(r *fragment.Request, over *verified, now time.Time) (admitted, error) {
	c, err := p.check(r, over)
	if err != nil {
		return admitted{}, err
	}
	study, ok := p.studies[r.Study]
	switch {
	case !ok:
		return admitted{}, refuse(CodeStudy, errors.New("no such study"))
	case !now.Before(study.Expires):
		return admitted{}, refuse(CodeStudy, fmt.Errorf("the study expired on %s", study.Expires.Format(time.DateOnly)))
	case !study.admits(r.Researcher):
		return admitted{}, refuse(CodeResearcher, nil)
	}
	loss, err := r.Price()
	if err != nil {
		return admitted{}, refuse(CodeFragment, err)
	}
	most, err := study.dearest()
	if err != nil {
		return admitted{}, refuse(CodeLimit, err)
	}
	// Rho as well: at a large delta, Gaussian noise of a small epsilon is dear.
	if loss.Epsilon > most.Epsilon || loss.Rho > most.Rho {
		return admitted{}, refuse(CodeLimit, fmt.Errorf("epsilon is %g, and a query of the study may cost %g", r.Noise.Epsilon, study.MaxEpsilon))
	}
	caps := []ledger.Cap{{Scope: scopeStudy(r.Study), Budget: study.Budget}, {Scope: scopeNode, Budget: p.budget}}
	return admitted{c, loss, caps}, nil
}

const scopeNode = "node"

func scopeStudy(name string) string { return "study:" + name }
