package console

import (
	"encoding/json"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
)

// Asked is a query's conditions and grouping as SQL, which needs no translation.
type Asked struct {
	Where []string `json:"where"` // those of subqueries follow the query's own
	By    []string `json:"by"`    // the grouping
}

// maxAsked bounds the length of a condition, in characters. The entry's detail has all of it.
const maxAsked = 400

// askedOf reads the entry of a query. It returns nil for other entries, and for entries of an earlier version in
// another form.
func askedOf(e ledger.Entry) (a *Asked) {
	defer func() {
		if recover() != nil { // an expression that no node has written; the entry's sentence still shows what it says
			a = nil
		}
	}()
	var detail struct {
		Request *struct {
			Fragment fragment.Fragment `json:"fragment"`
		} `json:"request"`
	}
	if e.Kind != ledger.KindReserve || json.Unmarshal(e.Detail, &detail) != nil || detail.Request == nil {
		return nil
	}
	f := &detail.Request.Fragment
	a = &Asked{Where: []string{}, By: []string{}}
	text := func(x *expr.Expr) string {
		runes := []rune(x.String())
		if len(runes) > maxAsked {
			runes = append(runes[:maxAsked], []rune(" …")...)
		}
		return string(runes)
	}
	if f.Filter != nil {
		a.Where = append(a.Where, text(f.Filter))
	}
	for i := range f.Relations {
		conditions(&f.Relations[i], func(x *expr.Expr) { a.Where = append(a.Where, text(x)) })
	}
	for _, k := range f.Keys {
		if k.Expr != nil {
			a.By = append(a.By, text(k.Expr))
		}
	}
	return a
}

// conditions visits the conditions on the rows of a relation and of the relations that it is made of.
func conditions(r *fragment.Relation, visit func(*expr.Expr)) {
	if r.Query == nil {
		return
	}
	derived(r.Query, visit)
}

func derived(d *fragment.Query, visit func(*expr.Expr)) {
	if d.Filter != nil {
		visit(d.Filter)
	}
	for i := range d.Relations {
		conditions(&d.Relations[i], visit)
	}
	for _, input := range d.Inputs {
		derived(input, visit)
	}
}
