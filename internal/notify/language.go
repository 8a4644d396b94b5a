package notify

import (
	"fmt"
	"strconv"
	"strings"
)

// Language is the language of the messages. The zero value is English.
type Language string

// The languages, those of the consoles.
const (
	English Language = "en"
	French  Language = "fr"
)

// Say returns the text in the language. Both texts are formats with the same arguments.
func (l Language) Say(english, french string, args ...any) string {
	if l == French {
		return fmt.Sprintf(french, args...)
	}
	return fmt.Sprintf(english, args...)
}

// Number writes a number in the language.
func (l Language) Number(x float64) string {
	text := strconv.FormatFloat(x, 'g', -1, 64)
	if l == French {
		return strings.Replace(text, ".", ",", 1)
	}
	return text
}
