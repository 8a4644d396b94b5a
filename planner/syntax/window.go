package syntax

import (
	"math"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// over reads OVER name or OVER (…).
func (p *parser) over() *Window {
	at := p.take().at
	if p.accept("(") {
		w, base := p.window(at)
		if base != nil {
			p.unnamed = append(p.unnamed, baseWindow{w, *base, false})
		}
		return w
	}
	t := p.name("write OVER (…)")
	w := &Window{At: t.at}
	p.unnamed = append(p.unnamed, baseWindow{w, t, true})
	return w
}

// nameWindows completes the windows read so far by those that they refer to.
func (p *parser) nameWindows() {
	for _, w := range p.unnamed {
		p.windows.extend(w)
	}
	p.unnamed = nil
}

func (scope windowScope) extend(w baseWindow) {
	named, ok := scope[w.base.text]
	switch {
	case !ok:
		Refuse(CodeSyntax, w.base.at, "define it with WINDOW "+w.base.text+" AS (…)", "there is no window %s", w.base.text)
	case w.whole:
		w.Frame = named.Frame
	case len(w.Partition) > 0 || len(named.OrderBy) > 0 && len(w.OrderBy) > 0 || named.Frame != nil:
		Refuse(CodeSyntax, w.base.at, "write the window out", "window %s says already what this one says", w.base.text)
	}
	w.Partition = named.Partition
	if len(w.OrderBy) == 0 {
		w.OrderBy = named.OrderBy
	}
}

// namedWindows reads WINDOW name AS (…), …
func (p *parser) namedWindows() {
	for {
		t := p.name("write WINDOW name AS (…)")
		if p.windows[t.text] != nil {
			Refuse(CodeAmbiguous, t.at, "give one of them another name", "%s stands for two windows", t.text)
		}
		p.expect("as", "write WINDOW name AS (…)")
		p.expect("(", "write WINDOW name AS (…)")
		w, base := p.window(t.at)
		if base != nil {
			p.windows.extend(baseWindow{w, *base, false})
		}
		p.windows[t.text] = w
		if !p.accept(",") {
			return
		}
	}
}

// window reads the rest of (name PARTITION BY … ORDER BY … frame).
func (p *parser) window(at Position) (w *Window, base *token) {
	w = &Window{At: at}
	if t := p.here(); t.isName() && !(p.comes("partition", "by") || p.comesOneOf("rows", "range", "groups") &&
		!p.token(1).is(")")) {
		base = &t
		p.i++
	}
	if p.accept("partition") {
		p.expect("by", "write PARTITION BY")
		w.Partition = p.expressions()
	}
	if p.accept("order") {
		p.expect("by", "write ORDER BY")
		w.OrderBy = p.orders()
	}
	w.Frame = p.frame()
	p.expect(")", "close OVER there")
	return w, base
}

// orders reads the list of ORDER BY.
func (p *parser) orders() (orders []Order) {
	for {
		o := Order{Term: p.expression()}
		switch {
		case p.comes("using"):
			Refuse(CodeNotSupported, p.here().at, "write ASC or DESC", "an order by an operator is not answered")
		case p.accept("desc"):
			o.Descending = true
		default:
			p.accept("asc")
		}
		o.Nulls = p.dialect.nulls(o.Descending)
		if p.accept("nulls") {
			if !p.comesOneOf("first", "last") {
				p.unexpected("write NULLS FIRST or NULLS LAST")
			}
			o.Nulls = p.take().text
		}
		orders = append(orders, o)
		if !p.accept(",") {
			return orders
		}
	}
}

// frame reads ROWS BETWEEN … AND …. It returns nil for the standard's default.
func (p *parser) frame() *Frame {
	t := p.here()
	if !p.comesOneOf("rows", "range", "groups") {
		return nil
	}
	p.i++
	f := &Frame{Values: t.is("range")}
	if p.accept("between") {
		f.From = p.bound(f)
		p.expect("and", "write ROWS BETWEEN 1 PRECEDING AND CURRENT ROW")
		f.To = p.bound(f)
	} else {
		f.From = p.bound(f)
	}
	switch {
	case p.comes("exclude"):
		p.unexpected("leave it out")
	case f.From > f.To || f.From == math.MaxInt || f.To == math.MinInt:
		Refuse(CodeSyntax, t.at, "write the earlier end first", "the window ends before it starts")
	case t.is("rows"):
		return f
	case f.From == math.MinInt && f.To == math.MaxInt: // every row, in any unit
		f.Values = false
		return f
	case t.is("range") && f.From == math.MinInt && f.To == 0: // the default
		return nil
	case t.is("range"):
		return f
	}
	Refuse(CodeNotSupported, t.at,
		"write ROWS BETWEEN …; or join the rows with those of the same patient and dates near theirs, and group by the key",
		"a window by %s is not answered", strings.ToUpper(t.text))
	return nil
}

// maxFrame bounds the reach of a frame that is not unbounded.
const maxFrame = 1 << 30

// days reads INTERVAL '30 days', or an interval of weeks, as a number of days.
func (p *parser) days() int {
	t := p.here()
	x := p.interval()
	if x != nil && x.Kind == Interval && x.Args[0].Kind == Literal && x.Args[0].Literal.Type() == value.TypeInt {
		n := x.Args[0].Literal.Int64()
		per := map[string]int64{"day": 1, "week": 7}[x.Name]
		if per > 0 && n >= 0 && n < maxFrame/7 {
			return int(n * per)
		}
	}
	Refuse(CodeNotSupported, t.at, "write a number of days or weeks, such as INTERVAL '365 days'", "a window of this interval is not answered: months differ in length")
	return 0
}

// bound reads one end of a frame, in rows from the current one or in values.
func (p *parser) bound(f *Frame) int {
	n := 0
	switch t := p.here(); {
	case p.accept("current", "row"):
		return 0
	case p.accept("unbounded"):
		n = math.MaxInt
	case f.Values && p.comes("interval"):
		n, f.Days = p.days(), true
	case t.kind == tokenNumber:
		p.i++
		v := numberValue(t)
		if v.Type() != value.TypeInt || v.Int64() >= maxFrame {
			Refuse(CodeType, t.at, "write a smaller whole number", "this is no number of rows, or of units of the order")
		}
		n = int(v.Int64())
	default:
		p.unexpected("write UNBOUNDED PRECEDING, 1 PRECEDING, CURRENT ROW, 1 FOLLOWING or UNBOUNDED FOLLOWING")
	}
	switch {
	case p.accept("following"):
		return n
	case p.accept("preceding") && n == math.MaxInt:
		return math.MinInt
	case p.token(-1).is("preceding"):
		return -n
	}
	p.unexpected("write PRECEDING or FOLLOWING")
	return 0
}
