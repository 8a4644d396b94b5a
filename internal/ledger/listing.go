package ledger

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/intramuros/intramuros/dp"
)

// WriteText lists entries for a custodian, two lines each. The first has number, time, kind, study, researcher and
// loss, in parentheses if the loss was not spent; the second has the sentence. Control characters, which a terminal
// would obey, are replaced.
func WriteText(w io.Writer, entries ...Entry) error {
	for _, e := range entries {
		line := []string{strconv.FormatInt(e.Sequence, 10), e.Time.Format("2006-01-02 15:04:05 MST"), string(e.Kind)}
		if e.Study != "" {
			line = append(line, "study "+e.Study)
		}
		if e.Researcher != "" {
			line = append(line, e.Researcher)
		}
		if e.Loss != (dp.Loss{}) {
			line = append(line, lossWords(e.Kind, e.Loss))
		}
		if _, err := fmt.Fprintf(w, "%s\n    %s\n", printable(strings.Join(line, "  ")), indented(e.Text)); err != nil {
			return err
		}
	}
	return nil
}

// lossWords writes a loss in such a way that nobody adds up losses that were not spent.
func lossWords(kind Kind, l dp.Loss) string {
	parts := make([]string, 0, 3)
	if l.Epsilon != 0 {
		parts = append(parts, "ε = "+decimal(l.Epsilon, 9))
	}
	if l.Rho != 0 {
		parts = append(parts, "ρ = "+rho(l.Rho))
	}
	if noise := l.NoiseDelta; noise != math.MaxInt64 && noise+l.Delta != 0 { // from Gaussian noise of a former version
		parts = append(parts, fmt.Sprintf("δ = %.3g", (float64(noise)+float64(l.Delta))*1e-18))
	} else if l.Delta != 0 {
		parts = append(parts, fmt.Sprintf("δ = %.3g", float64(l.Delta)*1e-18))
	}
	words := strings.Join(parts, ", ")
	if kind != KindCharge && kind != KindRecover {
		return "(" + words + ")"
	}
	return words
}

// decimal writes v·10^-places exactly.
func decimal(v int64, places int) string {
	s := fmt.Sprintf("%0*d", places+1, v)
	whole, fraction := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

func rho(v int64) string { return finite(v, 9) }

func finite(v int64, places int) string {
	if v == math.MaxInt64 {
		return "infinite"
	}
	return decimal(v, places)
}

// indented is a text of several lines, with each line below the first indented.
func indented(s string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		lines = append(lines, printable(strings.TrimSuffix(line, "\r")))
	}
	return strings.Join(lines, "\n    ")
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// line is the wire form of an entry in WriteJSONLines.
type line struct {
	Sequence    int64           `json:"sequence"`
	Time        time.Time       `json:"time"`
	Kind        Kind            `json:"kind"`
	Study       string          `json:"study,omitempty"`
	Researcher  string          `json:"researcher,omitempty"`
	Query       string          `json:"query,omitempty"`
	Reservation string          `json:"reservation,omitempty"`
	Expires     time.Time       `json:"expires,omitzero"`
	Loss        dp.Loss         `json:"loss,omitzero"` // whole units, see dp.Loss
	Text        string          `json:"text"`
	Detail      json.RawMessage `json:"detail,omitempty"`
	Previous    string          `json:"previous"`
	Hash        string          `json:"hash"`
}

// WriteJSONLines writes each entry, complete, as one line of JSON. Losses are in the units of dp.Loss.
func WriteJSONLines(w io.Writer, entries ...Entry) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, e := range entries {
		if err := out.Encode(line{e.Sequence, e.Time, e.Kind, e.Study, e.Researcher, e.Query, e.Reservation, e.Expires,
			e.Loss, e.Text, e.Detail, hex.EncodeToString(e.Previous[:]), hex.EncodeToString(e.Hash[:])}); err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes a header, and each complete entry as one record, for spreadsheets: in UTF-8 with a byte order mark,
// with fields separated by separator. A text that a spreadsheet would compute begins with an apostrophe. Losses are
// decimal numbers.
func WriteCSV(w io.Writer, separator rune, entries ...Entry) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.Comma = separator
	out.Write([]string{"sequence", "time", "kind", "study", "researcher", "query", "reservation", "expires",
		"epsilon", "rho", "noise_delta", "delta", "text", "detail", "previous", "hash"})
	for _, e := range entries {
		out.Write([]string{strconv.FormatInt(e.Sequence, 10), formatTime(e.Time), string(e.Kind), inert(e.Study), inert(e.Researcher),
			e.Query, e.Reservation, formatTime(e.Expires), decimal(e.Loss.Epsilon, 9), rho(e.Loss.Rho),
			finite(e.Loss.NoiseDelta, 18), decimal(e.Loss.Delta, 18), inert(e.Text), inert(string(e.Detail)),
			hex.EncodeToString(e.Previous[:]), hex.EncodeToString(e.Hash[:])})
	}
	out.Flush()
	return out.Error()
}

// formula matches the places where a spreadsheet would begin to compute: the beginning of a field and, if the
// spreadsheet uses another separator, the text after such a separator. A minus after a comma is a number in a detail.
var formula = regexp.MustCompile(`^[=+\-@\t\r\n＝＋－＠]|[;\t] *[=+\-@]|, *[=+@]`)

// inert makes a text that a spreadsheet does not compute: an apostrophe stands before what would begin a formula
// (OWASP, CSV injection). Names and reasons are not written by the person who opens the file.
func inert(s string) string {
	return formula.ReplaceAllStringFunc(s, func(found string) string {
		at := strings.LastIndexAny(found, ";,") + 1
		if at == 0 && strings.HasPrefix(found, "\t") && len(found) > 1 {
			at = 1
		}
		return found[:at] + "'" + found[at:]
	})
}
