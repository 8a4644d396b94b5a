package console

import (
	"encoding/json"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
)

// Asked is a query's conditions and grouping, as SQL, which needs no translation.
type Asked struct {
	Where []string `json:"where"` // conditions, those of subqueries after the query's own
	By    []string `json:"by"`    // what it is grouped by
}

// maxAsked bounds a condition, in characters; the whole is in the entry's detail.
const maxAsked = 400

// askedOf reads an entry; nil for any but that of a query, and for one that an earlier version wrote otherwise.
func askedOf(e ledger.Entry) (a *Asked) {
	defer func() {
		if recover() != nil { // an expression that no node has written: its own words show what the entry says
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

// conditions visits what the rows of a relation, and of those that it is made of, must fulfil.
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
