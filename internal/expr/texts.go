package expr

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

// Texts are sequences of Unicode code points, counted from 1. Nothing depends on a locale. See MaxText. The types of
// arguments are in parentheses. NULL arguments give NULL.
const (
	OpConcat    Op = "||"         // (text, text...), cut at MaxGrown
	OpLower     Op = "lower"      // (text): changes A to Z and the other letters of ISO 8859-15 only
	OpUpper     Op = "upper"      // (text): the reverse
	OpLeftTrim  Op = "ltrim"      // (text, literal characters): without these characters at its beginning
	OpRightTrim Op = "rtrim"      // (text, literal characters): without these characters at its end
	OpSubstring Op = "substring"  // (text, int start, int length): the characters at positions p >= 1 with start <= p < start + length
	OpLength    Op = "length"     // (text)
	OpReplace   Op = "replace"    // (text, literal text, literal text): all occurrences from left to right; see MaxGrown
	OpPosition  Op = "position"   // (text, text): the position of the first text in the second; 0 if it does not occur, 1 if it is empty
	OpSplit     Op = "split_part" // (text, literal separator, literal int n >= 1): the n-th part, empty if there is none

	OpLike   Op = "like"   // (text, literal text): % is any characters, _ is one, \ escapes; case-sensitive
	OpRegexp Op = "regexp" // (text, literal pattern of Regexp): whether a part of the text matches
)

var texts = map[Op]operation{
	OpConcat: {
		fewest: 2, most: maxArgs, typ: takes(value.TypeText, "a text", value.TypeText), precedence: 5,
		evaluate: concat,
		longest:  func(e *Expr, of func(*Expr) int) int { return min(lengthOfAll(e, of), MaxGrown) },
	},
	OpLower: {
		fewest: 1, most: 1, typ: takes(value.TypeText, "a text", value.TypeText),
		evaluate: ofText(func(s string) value.Value { return value.Text(toLower.Replace(s)) }),
		longest:  longestArgument,
	},
	OpUpper: {
		fewest: 1, most: 1, typ: takes(value.TypeText, "a text", value.TypeText),
		evaluate: ofText(func(s string) value.Value { return value.Text(toUpper.Replace(s)) }),
		longest:  longestArgument,
	},
	OpLeftTrim:  trimming(strings.TrimLeft),
	OpRightTrim: trimming(strings.TrimRight),
	OpSubstring: {
		fewest: 3, most: 3, typ: substringType,
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return value.Text(substring(args[0].Str(), args[1].Int64(), args[2].Int64()))
		},
		longest: func(e *Expr, of func(*Expr) int) int {
			n := of(e.Args[0])
			if l := e.Args[2]; l.Op == OpLiteral && !l.Value.IsNull() && l.Value.Int64() < int64(n) {
				n = max(0, int(l.Value.Int64()))
			}
			return n
		},
	},
	OpLength: {
		fewest: 1, most: 1, typ: takes(value.TypeText, "a text", value.TypeInt),
		evaluate: ofText(func(s string) value.Value { return value.Int(int64(utf8.RuneCountInString(s))) }),
		bounds:   notNegative, readsWhole: always,
	},
	OpReplace: {
		fewest: 3, most: 3, typ: replaceType,
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return replace(args[0].Str(), args[1].Str(), args[2].Str())
		},
		longest: func(e *Expr, of func(*Expr) int) int {
			if longerReplacement(e) {
				return MaxGrown
			}
			return of(e.Args[0])
		},
	},
	OpPosition: {
		fewest: 2, most: 2, typ: takes(value.TypeText, "a text", value.TypeInt),
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return value.Int(position(args[0].Str(), args[1].Str()))
		},
		bounds: notNegative, readsWhole: always,
	},
	OpSplit: {
		fewest: 3, most: 3, typ: splitType,
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			parts, n := strings.Split(args[0].Str(), args[1].Str()), args[2].Int64()
			if n < 1 || n > int64(len(parts)) {
				return value.Text("")
			}
			return value.Text(parts[n-1])
		},
		longest: func(e *Expr, of func(*Expr) int) int { return of(e.Args[0]) },
	},

	OpLike: {
		fewest: 2, most: 2, typ: likeType, precedence: 4,
		evaluate:   matches(likePattern),
		readsWhole: func(e *Expr) bool { return !SlowLike(e.Args[1].Value.Str()) },
	},
	OpRegexp: {
		fewest: 2, most: 2, typ: regexpType, precedence: 4,
		evaluate: matches(regexp.Compile),
	},
}

// UpperLetters and LowerLetters are the letters that OpLower and OpUpper convert, character by character: the letters
// of ISO 8859-15, which covers the languages of Western Europe. Engines and their locales agree on no larger set.
const (
	UpperLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞŠŽŒŸ"
	LowerLetters = "abcdefghijklmnopqrstuvwxyzàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþšžœÿ"
)

var toLower, toUpper = letterReplacer(UpperLetters, LowerLetters), letterReplacer(LowerLetters, UpperLetters)

func letterReplacer(from, to string) *strings.Replacer {
	var pairs []string
	target := []rune(to)
	for i, r := range []rune(from) {
		pairs = append(pairs, string(r), string(target[i]))
	}
	return strings.NewReplacer(pairs...)
}

// ofText evaluates an operation on one text.
func ofText(f func(string) value.Value) func(value.Type, []value.Value) value.Value {
	return func(_ value.Type, args []value.Value) value.Value { return f(args[0].Str()) }
}

func notNegative(_ *Expr, args []Range) Range {
	f := Unknown(anyNull(args))
	f.Lower = 0
	return f
}

func concat(_ value.Type, args []value.Value) value.Value {
	var b strings.Builder
	for _, a := range args {
		if b.WriteString(firstCharacters(a.Str(), MaxGrown)); b.Len() >= MaxGrown*utf8.UTFMax {
			break
		}
	}
	return Cut(value.Text(b.String()), MaxGrown)
}

// trimming removes constant characters from one end of a text.
func trimming(trim func(s, characters string) string) operation {
	return operation{
		fewest: 2, most: 2,
		typ: func(e *Expr) (value.Type, error) {
			if err := e.all(func(t value.Type) bool { return t == value.TypeText }, "a text"); err != nil {
				return "", err
			}
			return value.TypeText, constantPatterns(e)
		},
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return value.Text(trim(args[0].Str(), args[1].Str()))
		},
		longest: func(e *Expr, of func(*Expr) int) int { return of(e.Args[0]) },
	}
}

// constantPatterns checks that all arguments after the first are constant texts, and that the second is not empty.
func constantPatterns(e *Expr) error {
	for i := range e.Args[1:] {
		s, err := e.constantText(1 + i)
		if err != nil {
			return err
		}
		if i == 0 && s == "" {
			return mistyped("%s needs something to look for, not an empty text", e.Op)
		}
	}
	return nil
}

// firstIsText checks that the first argument is a text.
func firstIsText(e *Expr) error {
	if e.Args[0].Type != value.TypeText {
		return mistyped("%s needs a text, and %s is a %s", e.Op, e.Args[0], e.Args[0].Type)
	}
	return nil
}

func substringType(e *Expr) (value.Type, error) {
	if err := firstIsText(e); err != nil {
		return "", err
	}
	for _, a := range e.Args[1:] {
		if a.Type != value.TypeInt {
			return "", mistyped("substring needs an int, and %s is a %s", a, a.Type)
		}
	}
	return value.TypeText, nil
}

// substring follows the SQL standard: positions before the first count, but hold no character.
func substring(s string, start, length int64) string {
	runes := []rune(s)
	n := int64(len(runes))
	if length <= 0 || start > n {
		return ""
	}
	if start < 1 {
		if length += start - 1; length <= 0 {
			return ""
		}
		start = 1
	}
	return string(runes[start-1 : start-1+min(length, n-start+1)])
}

func replaceType(e *Expr) (value.Type, error) {
	if err := e.all(func(t value.Type) bool { return t == value.TypeText }, "a text"); err != nil {
		return "", err
	}
	if err := constantPatterns(e); err != nil {
		return "", err
	}
	from, to := utf8.RuneCountInString(e.Args[1].Value.Str()), utf8.RuneCountInString(e.Args[2].Value.Str())
	if to > from*maxGrowth {
		return "", mistyped("replace puts at most %d times as long a text into the place of another", maxGrowth)
	}
	return value.TypeText, nil
}

// longerReplacement reports whether a REPLACE inserts a longer text than it removes.
func longerReplacement(e *Expr) bool {
	return utf8.RuneCountInString(e.Args[2].Value.Str()) > utf8.RuneCountInString(e.Args[1].Value.Str())
}

func replace(s, from, to string) value.Value {
	if utf8.RuneCountInString(to) <= utf8.RuneCountInString(from) {
		return value.Text(strings.ReplaceAll(s, from, to))
	}
	return Cut(value.Text(strings.ReplaceAll(firstCharacters(s, MaxGrown), from, to)), MaxGrown)
}

func position(s, within string) int64 {
	at := strings.Index(within, s)
	if at < 0 {
		return 0
	}
	return int64(utf8.RuneCountInString(within[:at])) + 1
}

func splitType(e *Expr) (value.Type, error) {
	if err := firstIsText(e); err != nil {
		return "", err
	}
	separator, err := e.constantText(1)
	if err != nil {
		return "", err
	}
	n := e.Args[2]
	if separator == "" || n.Op != OpLiteral || n.Type != value.TypeInt || n.Value.IsNull() || n.Value.Int64() < 1 || n.Value.Int64() > maxArgs {
		return "", mistyped("split_part takes a constant separator and a constant number from 1 to %d", maxArgs)
	}
	return value.TypeText, nil
}

func likeType(e *Expr) (value.Type, error) {
	p := e.Args[1]
	if e.Args[0].Type != value.TypeText || p.Op != OpLiteral || p.Type != value.TypeText || p.Value.IsNull() {
		return "", mistyped("like compares a text with a constant pattern")
	}
	_, err := likePattern(p.Value.Str())
	return value.TypeBool, err
}

func regexpType(e *Expr) (value.Type, error) {
	if err := e.all(func(t value.Type) bool { return t == value.TypeText }, "a text"); err != nil {
		return "", err
	}
	pattern, err := e.constantText(1)
	if err != nil {
		return "", err
	}
	portable, err := Regexp(pattern, false)
	if err == nil && portable != pattern {
		err = mistyped("the pattern is not in its portable form")
	}
	return value.TypeBool, err
}

// matches evaluates a constant pattern. A pattern that does not compile gives NULL.
func matches(compile func(string) (*regexp.Regexp, error)) func(value.Type, []value.Value) value.Value {
	return func(t value.Type, args []value.Value) value.Value {
		p, err := compile(args[1].Str())
		if err != nil {
			return value.Null(t)
		}
		return value.Bool(p.MatchString(args[0].Str()))
	}
}
