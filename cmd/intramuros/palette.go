package main

import (
	"io"
	"os"
	"strings"
)

// palette colours text for a terminal. The zero value leaves it unchanged.
type palette struct{ on bool }

// newPalette returns a palette that colours if out is a terminal that wants colours (https://no-color.org).
func newPalette(out io.Writer) palette {
	return palette{isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p palette) colour(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p palette) fault(s string) string  { return p.colour("1;31", s) }
func (p palette) hint(s string) string   { return p.colour("36", s) }
func (p palette) strong(s string) string { return p.colour("1", s) }
func (p palette) bar(s string) string    { return p.colour("34", s) }

// caret colours the second line of planner.Error's Caret.
func (p palette) caret(s string) string {
	line, under, _ := strings.Cut(s, "\n")
	marks := strings.TrimLeft(under, " \t")
	return line + "\n" + under[:len(under)-len(marks)] + p.fault(marks)
}
