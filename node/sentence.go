package node

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

// maxSentence bounds a ledger's sentence, in bytes; the whole fragment is in the
// entry's detail.
const maxSentence = 2000

// sentence says for a custodian what a request asks for.
func sentence(r *fragment.Request) string {
	f := &r.Fragment
	var b strings.Builder
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
		default:
			b.WriteString("the " + p.String())
		}
	}
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
	if f.Filter != nil {
		fmt.Fprintf(&b, ", where %s", f.Filter)
	}
	for i, k := range f.Keys {
		if i == 0 {
			b.WriteString(", for each ")
		} else {
			b.WriteString(" and ")
		}
		b.WriteString(k.Expr.String())
	}
	fmt.Fprintf(&b, "; %s noise of epsilon %g", r.Noise.Mechanism, r.Noise.Epsilon)
	if r.Cover != nil {
		b.WriteString(", added by this hospital before anything leaves")
		if r.Cover.Names {
			b.WriteString(", the names of groups included")
		}
	}
	if r.Releases > 1 {
		fmt.Fprintf(&b, ", in one of %d releases for one query", r.Releases)
	}
	s := strings.ToValidUTF8(strings.ReplaceAll(b.String(), "\x00", "\uFFFD"), "\uFFFD")
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence], "") + " …"
	}
	return s + "."
}
