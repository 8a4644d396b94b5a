package expr

import (
	"math"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// Dates. The types of arguments are in parentheses. NULL arguments give NULL, and so does a result outside the years 1
// to 9999.
const (
	OpExtract   Op = "extract"    // (literal Field, date or timestamp): int; hour, minute and second need a timestamp
	OpTruncate  Op = "date_trunc" // (literal Unit, date or timestamp): the beginning of the unit, of the same type; units smaller than a day need a timestamp
	OpAddMonths Op = "add_months" // (date or timestamp, int): the same day and time of the month, or the month's last day
	OpMonths    Op = "months"     // (date, date) or (timestamp, timestamp): complete months from the first to the second, negative if the second is earlier
	OpMakeDate  Op = "make_date"  // (int year, int month, int day): NULL if there is no such day
)

// All operations except the cyclic fields are monotone in each argument, so the ends of the ranges bound them.
var dates = map[Op]operation{
	OpExtract: {
		fewest: 2, most: 2,
		typ: func(e *Expr) (value.Type, error) {
			return value.TypeInt, partType(e, func(name string) bool { return fields[Field(name)].parent != "" })
		},
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return value.Int(extract(Field(args[0].Str()), args[1].Type(), args[1].Int64()))
		},
		bounds: extractBounds,
	},
	OpTruncate: {
		fewest: 2, most: 2,
		typ: func(e *Expr) (value.Type, error) {
			return e.Args[1].Type, partType(e, func(name string) bool { return units[Unit(name)] })
		},
		evaluate: func(t value.Type, args []value.Value) value.Value {
			return ordinal(t, truncate(Unit(args[0].Str()), t, args[1].Int64()))
		},
		bounds: func(e *Expr, args []Range) Range {
			f := Unknown(anyNull(args))
			if args[1].Bounded() {
				low, high := args[1].ends(e.Type)
				unit := Unit(e.Args[0].Value.Str())
				f.Lower, f.Upper = Outward(float64(truncate(unit, e.Type, low)), float64(truncate(unit, e.Type, high)))
			}
			return f
		},
	},
	OpAddMonths: {
		fewest: 2, most: 2,
		typ: func(e *Expr) (value.Type, error) {
			a, b := e.Args[0].Type, e.Args[1].Type
			if !isDay(a) || b != value.TypeInt {
				return "", mistyped("%s needs a date or a timestamp, and an int; not %s and %s", e.Op, a, b)
			}
			return a, nil
		},
		evaluate: func(t value.Type, args []value.Value) value.Value {
			if n := args[1].Int64(); n >= -maxMonths && n <= maxMonths {
				return ordinal(t, addMonths(t, args[0].Int64(), n))
			}
			return value.Null(t)
		},
		bounds: addMonthsBounds,
	},
	OpMonths: {
		fewest: 2, most: 2,
		typ: func(e *Expr) (value.Type, error) {
			a, b := e.Args[0].Type, e.Args[1].Type
			if !isDay(a) || a != b {
				return "", mistyped("there are no months between %s and %s", a, b)
			}
			return value.TypeInt, nil
		},
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return value.Int(months(args[0].Type(), args[0].Int64(), args[1].Int64()))
		},
		bounds: func(e *Expr, args []Range) Range {
			f, t := Unknown(anyNull(args)), e.Args[0].Type
			if args[0].Bounded() && args[1].Bounded() {
				fromLow, fromHigh := args[0].ends(t)
				toLow, toHigh := args[1].ends(t)
				f.Lower, f.Upper = float64(months(t, fromHigh, toLow)), float64(months(t, fromLow, toHigh))
			}
			return f
		},
	},
	OpMakeDate: {
		fewest: 3, most: 3, typ: takes(value.TypeInt, "an int", value.TypeDate),
		evaluate: makeDate,
		bounds:   makeDateBounds,
	},
}

const (
	microsecondsPerSecond = 1_000_000
	microsecondsPerDay    = 86_400 * microsecondsPerSecond
)

// Unit is the precision to which OpTruncate cuts a date or timestamp.
type Unit string

// The units. A week begins on Monday, as in ISO 8601.
const (
	UnitYear    Unit = "year"
	UnitQuarter Unit = "quarter"
	UnitMonth   Unit = "month"
	UnitWeek    Unit = "week"
	UnitDay     Unit = "day"
	UnitHour    Unit = "hour"
	UnitMinute  Unit = "minute"
	UnitSecond  Unit = "second"
)

var units = map[Unit]bool{UnitYear: true, UnitQuarter: true, UnitMonth: true, UnitWeek: true, UnitDay: true, UnitHour: true, UnitMinute: true, UnitSecond: true}

// Field is a part of a date or timestamp.
type Field string

// The fields.
const (
	FieldYear    Field = "year"
	FieldISOYear Field = "isoyear" // the year that the ISO week belongs to
	FieldQuarter Field = "quarter"
	FieldMonth   Field = "month"
	FieldWeek    Field = "week" // ISO 8601, 1 to 53
	FieldDay     Field = "day"  // of the month
	FieldDOY     Field = "doy"  // the day of the year, 1 to 366
	FieldDOW     Field = "dow"  // the day of the week, 0 (Sunday) to 6
	FieldISODOW  Field = "isodow"
	FieldHour    Field = "hour"
	FieldMinute  Field = "minute"
	FieldSecond  Field = "second" // 0 to 59, without its fraction
)

// fields gives the range of each field, and the unit within which the field is monotone: "ever" for years, and "none"
// where no unit helps.
var fields = map[Field]struct {
	lower, upper int64
	parent       Unit
}{
	FieldYear: {1, 9999, "ever"}, FieldISOYear: {1, 9999, "ever"}, FieldQuarter: {1, 4, UnitYear}, FieldMonth: {1, 12, UnitYear},
	FieldWeek: {1, 53, "none"}, FieldDay: {1, 31, UnitMonth}, FieldDOY: {1, 366, UnitYear}, FieldDOW: {0, 6, "none"}, FieldISODOW: {1, 7, UnitWeek},
	FieldHour: {0, 23, UnitDay}, FieldMinute: {0, 59, UnitHour}, FieldSecond: {0, 59, UnitMinute},
}

// ordinal is the date or timestamp with n days or microseconds; NULL outside the years 1 to 9999.
func ordinal(t value.Type, n int64) value.Value {
	if t == value.TypeDate {
		return value.Date(n)
	}
	return value.Timestamp(n)
}

// instant converts a date or timestamp to Go's time in UTC, which has no gaps of time zones.
func instant(t value.Type, n int64) time.Time {
	if t == value.TypeDate {
		return time.Unix(n*86_400, 0).UTC()
	}
	return time.UnixMicro(n).UTC()
}

func ordinalOf(t value.Type, d time.Time) int64 {
	if t == value.TypeDate {
		return floorDivide(d.Unix(), 86_400)
	}
	return d.UnixMicro()
}

func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// partType checks the arguments of an operation on a part of a date or timestamp. The part is a constant, a known name.
func partType(e *Expr, known func(name string) bool) error {
	part, err := e.constantText(0)
	if err != nil {
		return err
	}
	t := e.Args[1].Type
	if !isDay(t) {
		return mistyped("%s needs a date or a timestamp, and %s is a %s", e.Op, e.Args[1], t)
	}
	if !known(part) || t == value.TypeDate && (part == "hour" || part == "minute" || part == "second") {
		return mistyped("a %s has no %s", t, part)
	}
	return nil
}

func makeDate(_ value.Type, args []value.Value) value.Value {
	y, m, d := args[0].Int64(), args[1].Int64(), args[2].Int64()
	if y < 1 || y > 9999 || m < 1 || m > 12 || d < 1 || d > 31 {
		return value.Null(value.TypeDate)
	}
	made := time.Date(int(y), time.Month(m), int(d), 0, 0, 0, 0, time.UTC)
	if made.Day() != int(d) {
		return value.Null(value.TypeDate)
	}
	return value.Date(ordinalOf(value.TypeDate, made))
}

func extract(f Field, t value.Type, n int64) int64 {
	d := instant(t, n)
	isoYear, week := d.ISOWeek()
	switch f {
	case FieldYear:
		return int64(d.Year())
	case FieldISOYear:
		return int64(isoYear)
	case FieldQuarter:
		return int64(d.Month()+2) / 3
	case FieldMonth:
		return int64(d.Month())
	case FieldWeek:
		return int64(week)
	case FieldDay:
		return int64(d.Day())
	case FieldDOY:
		return int64(d.YearDay())
	case FieldDOW:
		return int64(d.Weekday())
	case FieldISODOW:
		return int64(d.Weekday()+6)%7 + 1
	case FieldHour:
		return int64(d.Hour())
	case FieldMinute:
		return int64(d.Minute())
	}
	return int64(d.Second())
}

func truncate(u Unit, t value.Type, n int64) int64 {
	d := instant(t, n)
	y, m, day := d.Date()
	h, minute, s := d.Clock()
	switch u {
	case UnitYear:
		m, day, h, minute, s = 1, 1, 0, 0, 0
	case UnitQuarter:
		m, day, h, minute, s = (m-1)/3*3+1, 1, 0, 0, 0
	case UnitMonth:
		day, h, minute, s = 1, 0, 0, 0
	case UnitWeek:
		day, h, minute, s = day-(int(d.Weekday())+6)%7, 0, 0, 0
	case UnitDay:
		h, minute, s = 0, 0, 0
	case UnitHour:
		minute, s = 0, 0
	case UnitMinute:
		s = 0
	}
	return ordinalOf(t, time.Date(y, m, day, h, minute, s, 0, time.UTC))
}

// following is the beginning of the next unit after the unit that begins at n.
func following(u Unit, t value.Type, n int64) int64 {
	switch u {
	case UnitYear:
		return addMonths(t, n, 12)
	case UnitQuarter:
		return addMonths(t, n, 3)
	case UnitMonth:
		return addMonths(t, n, 1)
	}
	step := map[Unit]int64{UnitWeek: 7 * 86_400, UnitDay: 86_400, UnitHour: 3600, UnitMinute: 60, UnitSecond: 1}[u]
	if t == value.TypeDate {
		return n + step/86_400
	}
	return n + step*microsecondsPerSecond
}

// maxMonths is more than the number of months between the first and the last date.
const maxMonths = 120_000

// addMonths moves by n months, |n| at most maxMonths. The result may be outside the years that dates have.
func addMonths(t value.Type, ordinal, n int64) int64 {
	d := instant(t, ordinal)
	first := time.Date(d.Year(), d.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	h, minute, s := d.Clock()
	return ordinalOf(t, time.Date(first.Year(), first.Month(), min(d.Day(), last), h, minute, s, d.Nanosecond(), time.UTC))
}

// months counts the complete months from a to b. A month is complete on the same day of the month at the same time.
// From 31 January the first month is complete on 1 March, and the second on 31 March.
func months(t value.Type, a, b int64) int64 {
	if b < a {
		return -months(t, b, a)
	}
	from, to := instant(t, a), instant(t, b)
	n := int64(to.Year()-from.Year())*12 + int64(to.Month()-from.Month())
	start := func(n int64) int64 { return n - truncate(UnitMonth, t, n) }
	if start(b) < start(a) {
		n--
	}
	return n
}

// ends gives the bounds of the range of a date or timestamp, as whole days or microseconds within the type.
func (f Range) ends(t value.Type) (low, high int64) {
	f = f.WithinType(t)
	return int64(math.Ceil(f.Lower)), int64(math.Floor(f.Upper))
}

func extractBounds(e *Expr, args []Range) Range {
	field, t := Field(e.Args[0].Value.Str()), e.Args[1].Type
	known := fields[field]
	f := within(args, float64(known.lower), float64(known.upper))
	low, high := args[1].ends(t)
	if field == FieldISOYear && high-low >= 0 {
		f.Lower, f.Upper = math.Max(1, float64(extract(FieldYear, t, low)-1)), float64(extract(FieldYear, t, high)+1)
	} else if known.parent == "ever" || units[known.parent] && truncate(known.parent, t, low) == truncate(known.parent, t, high) {
		f.Lower, f.Upper = float64(extract(field, t, low)), float64(extract(field, t, high))
	}
	return f
}

func addMonthsBounds(e *Expr, args []Range) Range {
	n := args[1]
	if !args[0].Bounded() || !n.Bounded() {
		return Unknown(true)
	}
	low, high := args[0].ends(e.Type)
	least, most := math.Max(n.Lower, -maxMonths), math.Min(n.Upper, maxMonths)
	if least > most {
		return Unknown(true)
	}
	f := Unknown(anyNull(args) || n.Lower < -maxMonths || n.Upper > maxMonths)
	f.Lower, f.Upper = Outward(float64(addMonths(e.Type, low, int64(least))), float64(addMonths(e.Type, high, int64(most))))
	return f
}

func makeDateBounds(_ *Expr, args []Range) Range {
	y, m, d := args[0], args[1], args[2]
	f := Unknown(anyNull(args) || y.Lower < 1 || y.Upper > 9999 || m.Lower < 1 || m.Upper > 12 || d.Lower < 1 || d.Upper > 28)
	if y.Bounded() {
		made := func(y, m, d float64) float64 {
			return float64(ordinalOf(value.TypeDate, time.Date(int(y), time.Month(int(m)), int(d), 0, 0, 0, 0, time.UTC)))
		}
		f.Lower = made(clamp(y.Lower, 1, 9999), clamp(m.Lower, 1, 12), clamp(d.Lower, 1, 31))
		f.Upper = made(clamp(y.Upper, 1, 9999), clamp(m.Upper, 1, 12), clamp(d.Upper, 1, 31))
	}
	return f
}
