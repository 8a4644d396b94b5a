package node

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

// maxSentence bounds a sentence of the ledger, in bytes, without the marks for omitted parts. The entry's detail has
// the whole fragment.
const maxSentence = 2000

// sentence describes a request for a custodian.
func sentence(r *fragment.Request) string {
	f := &r.Fragment
	var all, b strings.Builder
	part := func(most int) { // one of four parts; none takes the room of the others
		all.WriteString(short(b.String(), most))
		b.Reset()
	}
	b.WriteString("Asks for ")
	for i, p := range f.Partials {
		if i > 0 {
			b.WriteString("; ")
		}
		switch {
		case p.Kind == fragment.PartialPatients && p.Expr == nil:
			b.WriteString("the number of patients")
		case p.Kind == fragment.PartialRows:
			b.WriteString("the number of rows")
		case p.Kind == fragment.PartialBeyond:
			b.WriteString(p.String())
		default:
			b.WriteString("the " + p.String())
		}
	}
	part(maxSentence / 4)
	for i, r := range f.Relations {
		switch {
		case i == 0:
			b.WriteString(", from ")
		case r.On == nil:
			b.WriteString(" with every row of ")
		default:
			b.WriteString(" joined with ")
		}
		b.WriteString(r.String())
	}
	part(maxSentence / 4)
	if f.Filter != nil {
		fmt.Fprintf(&b, ", where %s", f.Filter)
	}
	part(maxSentence / 4)
	for i, k := range f.Keys {
		if i == 0 {
			b.WriteString(", for each ")
		} else {
			b.WriteString(" and ")
		}
		b.WriteString(k.Expr.String())
	}
	part(maxSentence / 8)
	fmt.Fprintf(&b, "; %s noise of epsilon %g", r.Noise.Mechanism, r.Noise.Epsilon)
	if r.Cover != nil {
		b.WriteString(", added by this hospital before anything leaves")
	}
	if r.Releases > 1 {
		fmt.Fprintf(&b, ", in one of %d releases for one query", r.Releases)
	}
	part(maxSentence / 8)
	return all.String() + "."
}

// short cuts a text to that many bytes.
func short(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " …"
	}
	return s
}
