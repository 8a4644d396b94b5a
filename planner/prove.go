package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
)

// canonicalize puts the partial aggregates into one order, whatever the query's.
func (b *builder) canonicalize() {
	old := slices.Clone(b.fragment.Partials)
	order, texts, moved := make([]int, len(old)), make([]string, len(old)), make([]int, len(old))
	for i, p := range old {
		order[i], texts[i] = i, scalar.Canonical(p)
	}
	slices.SortFunc(order, func(i, k int) int { return strings.Compare(texts[i], texts[k]) })
	for to, from := range order {
		b.fragment.Partials[to], moved[from] = old[from], to
	}
	for i := range b.plan.Aggregates {
		for k, p := range b.plan.Aggregates[i].Partials {
			b.plan.Aggregates[i].Partials[k] = moved[p]
		}
	}
	b.strategies()
	end := 0
	for i, p := range b.fragment.Partials {
		released := p.Released()
		if b.plan.ranks[i] != nil {
			released = p.Width()
		}
		b.plan.places = append(b.plan.places, place{end, end + released})
		end += released
	}
	if s := b.plan.Selection; s != nil {
		s.Partial = moved[s.Partial]
		s.Place = b.plan.places[s.Partial].start
	}
}

// prove checks the fragment as each node will. The proof tells how much one patient can change.
func (b *builder) prove() {
	p := b.plan
	b.fragment.Filter, b.fragment.Patient = b.Filter, b.Patient
	exprs := []*expr.Expr{b.Filter, b.Patient}
	for _, k := range b.fragment.Keys {
		exprs = append(exprs, k.Expr)
	}
	for _, partial := range b.fragment.Partials {
		exprs = append(exprs, partial.Expr)
	}
	b.fragment.Relations = relational.Prune(b.Relations(), exprs...)
	p.Fragment = b.fragment
	proof, err := fragment.Check(p.Fragment, b.Catalog.Catalog)
	if err != nil {
		b.Invalid(err, b.syntax.At)
	}
	p.Proof = proof
	for i := range p.Aggregates {
		a := &p.Aggregates[i]
		for k, partial := range a.Partials {
			a.scale[k] /= float64(proof.Units[partial])
		}
	}
	p.Sites = len(b.federation.Hospitals)
	if b.Catalog.MaxSites > 0 {
		p.Sites = min(p.Sites, b.Catalog.MaxSites)
	}
}

// Fingerprint identifies what the noisy partial aggregates depend on besides the data: the fragment and the noise. What
// is computed from them afterwards does not count. Queries with the same fingerprint can share stored cells, at no
// cost.
func (p *Plan) Fingerprint() string {
	asked := *p.Fragment
	asked.Version = 1 // the wire version changes from release to release, the question does not
	sum := sha256.Sum256([]byte(scalar.Canonical(struct {
		Fragment  *fragment.Fragment
		Sites     int
		Noise     dp.Noise
		Selection *Selection
		Cover     *fragment.Cover `json:",omitempty"`
		Ranks     []int           `json:",omitempty"`
	}{&asked, p.Sites, p.Noise, p.Selection, p.Cover, slices.Sorted(maps.Keys(p.ranks))})))
	return hex.EncodeToString(sum[:])
}
