package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

// UpperLetters and LowerLetters are what OpLower and OpUpper turn into each other,
// character by character: the letters of ISO 8859-15, which writes the languages of
// Western Europe. Engines and their locales agree on no larger set.
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

func textOperation(op Op, args []value.Value) value.Value {
	s := args[0].Str()
	switch op {
	case OpConcat:
		var b strings.Builder
		for _, a := range args {
			if b.WriteString(firstCharacters(a.Str(), MaxGrown)); b.Len() >= MaxGrown*utf8.UTFMax {
				break
			}
		}
		return Cut(value.Text(b.String()), MaxGrown)
	case OpLower:
		return value.Text(toLower.Replace(s))
	case OpUpper:
		return value.Text(toUpper.Replace(s))
	case OpLeftTrim:
		return value.Text(strings.TrimLeft(s, args[1].Str()))
	case OpRightTrim:
		return value.Text(strings.TrimRight(s, args[1].Str()))
	case OpSubstring:
		return value.Text(substring(s, args[1].Int64(), args[2].Int64()))
	case OpLength:
		return value.Int(int64(utf8.RuneCountInString(s)))
	case OpReplace:
		from, to := args[1].Str(), args[2].Str()
		if utf8.RuneCountInString(to) <= utf8.RuneCountInString(from) {
			return value.Text(strings.ReplaceAll(s, from, to))
		}
		return Cut(value.Text(strings.ReplaceAll(firstCharacters(s, MaxGrown), from, to)), MaxGrown)
	case OpPosition:
		within := args[1].Str()
		at := strings.Index(within, s)
		if at < 0 {
			return value.Int(0)
		}
		return value.Int(int64(utf8.RuneCountInString(within[:at])) + 1)
	}
	parts, n := strings.Split(s, args[1].Str()), args[2].Int64()
	if n < 1 || n > int64(len(parts)) {
		return value.Text("")
	}
	return value.Text(parts[n-1])
}

// substring follows the SQL standard: the places before the first count, and hold nothing.
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
