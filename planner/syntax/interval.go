package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// units maps the spellings of the units of time to units.
var units = map[string]string{
	"microsecond": "microsecond", "microseconds": "microsecond", "millisecond": "millisecond",
	"milliseconds": "millisecond",
	"second":       "second", "seconds": "second", "sec": "second", "secs": "second",
	"minute": "minute", "minutes": "minute", "min": "minute", "mins": "minute",
	"hour": "hour", "hours": "hour", "hr": "hour", "hrs": "hour",
	"day": "day", "days": "day", "week": "week", "weeks": "week", "month": "month", "months": "month", "mon": "month",
	"mons":    "month",
	"quarter": "quarter", "quarters": "quarter", "year": "year", "years": "year", "yr": "year", "yrs": "year",
}

// interval reads INTERVAL '1 day', INTERVAL '1' DAY, INTERVAL 1 DAY and INTERVAL (x) DAY. It returns nil if INTERVAL is
// a name here.
func (p *parser) interval() *Expr {
	t, next := p.here(), p.token(1)
	unitAt := func(i int) bool {
		u := p.tokens[min(i, len(p.tokens)-1)]
		return u.kind == tokenWord && units[u.text] != ""
	}
	switch {
	case next.kind == tokenString:
		p.i += 2
		x := quantity(next)
		if x.Name == "" {
			if !unitAt(p.i) {
				Refuse(CodeType, next.at, "write INTERVAL '1 day' or INTERVAL '1' DAY", "this interval has no unit")
			}
			x.Name = units[p.take().text]
			if p.comes("to") || p.comes("(") {
				Refuse(CodeNotSupported, p.here().at, "write INTERVAL '1' DAY", "an interval has one unit here")
			}
		}
		x.At = span(t.at, p.token(-1).at)
		return x
	case next.is("(") && !unitAt(p.partner[p.i+1]+1):
		return nil
	case next.is("("), (next.kind == tokenNumber || next.kind == tokenParameter || next.isName()) && unitAt(p.i+2),
		next.isName() && p.token(2).is(".") && unitAt(p.i+4), next.is("-") && p.token(2).kind == tokenNumber && unitAt(p.i+3):
		p.i++
		sign := p.accept("-")
		n := p.value()
		if sign {
			n = negative(n)
		}
		return &Expr{Kind: Interval, Name: units[p.take().text], At: t.at, Args: []*Expr{n}}
	}
	return nil
}

// quantity reads '3 days' as an interval and '1 month -1 day' as several, one after the other. The unit is empty if the
// text has none.
func quantity(t token) *Expr {
	text := strings.ReplaceAll(strings.ReplaceAll(t.text, "- ", "-"), "+ ", "+")
	fields := strings.Fields(text)
	refused := func() {
		Refuse(CodeType, t.at, "write INTERVAL '1 day', or '1 month 3 days'", "%q is not read as an interval", t.text)
	}
	if len(fields) == 1 { // 3days
		if i := strings.IndexFunc(fields[0], func(r rune) bool { return r >= 'A' }); i > 0 {
			fields = []string{fields[0][:i], fields[0][i:]}
		}
	}
	if len(fields) == 0 || len(fields) > 1 && len(fields)%2 > 0 {
		refused()
	}
	if len(fields) > 2 {
		return severalUnits(fields, t.at, refused)
	}
	x := &Expr{Kind: Interval, At: t.at}
	if len(fields) == 2 {
		if x.Name = units[strings.ToLower(fields[1])]; x.Name == "" {
			refused()
		}
	}
	n, err := value.Parse(value.TypeInt, fields[0])
	if err != nil {
		if n, err = value.Parse(value.TypeFloat, fields[0]); err != nil {
			refused()
		}
	}
	x.Args = []*Expr{{Kind: Literal, At: t.at, Literal: n}}
	return x
}

// parts are the sums of an interval's units, in the order in which PostgreSQL adds them to a date. A year and a month
// make 13 months; the day is then at most the last of that month.
var parts = []struct {
	unit  string
	sizes map[string]int64
}{
	{"month", map[string]int64{"year": 12, "quarter": 3, "month": 1}},
	{"day", map[string]int64{"week": 7, "day": 1}},
	{"second", map[string]int64{"hour": 3600, "minute": 60, "second": 1}},
}

// severalUnits reads 1 year 2 months -3 days: whole numbers with units.
func severalUnits(fields []string, at Position, refused func()) *Expr {
	sums := make([]int64, len(parts))
	for i := 0; i < len(fields); i += 2 {
		number := strings.TrimPrefix(fields[i], "+")
		if strings.Trim(number, "0.") == "" { // 0.000000 seconds, as Python's drivers write
			number = "0"
		}
		n, err := value.Parse(value.TypeInt, number)
		if err != nil || n.Int64() > 1<<31 || n.Int64() < -1<<31 {
			refused()
		}
		known := false
		for k, part := range parts {
			if size := part.sizes[units[strings.ToLower(fields[i+1])]]; size > 0 {
				sums[k] += n.Int64() * size
				known = true
			}
		}
		if !known {
			refused()
		}
	}
	var first, last *Expr
	for k, part := range parts {
		if sums[k] == 0 && (k > 0 || slices.ContainsFunc(sums, func(n int64) bool { return n != 0 })) {
			continue
		}
		x := &Expr{Kind: Interval, Name: part.unit, At: at,
			Args: []*Expr{{Kind: Literal, At: at, Literal: value.Int(sums[k])}}}
		if first == nil {
			first = x
		} else {
			last.Args = append(last.Args, x)
		}
		last = x
	}
	return first
}

// toInterval casts '1 day' or n || ' days' to an interval.
func toInterval(x *Expr, at Position) *Expr {
	if x.Kind == Literal && x.Text {
		if t := quantity(token{kind: tokenString, text: x.Literal.Str(), at: x.At}); t.Name != "" {
			return t
		}
	}
	if x.Kind == Operator && x.Name == "||" && x.Args[1].Text {
		if unit := units[strings.ToLower(strings.TrimSpace(x.Args[1].Literal.Str()))]; unit != "" {
			n := x.Args[0]
			if n.Kind == Cast && n.Type == value.TypeText { // CAST(n AS text) || ' days'
				n = n.Args[0]
			}
			return &Expr{Kind: Interval, Name: unit, At: x.At, Args: []*Expr{n}}
		}
	}
	Refuse(CodeNotSupported, at, "write x * INTERVAL '1 day'", "only a constant such as '1 day' becomes an interval")
	return nil
}
