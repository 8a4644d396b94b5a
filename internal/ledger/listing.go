package ledger

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/intramuros/intramuros/dp"
)

// WriteText lists entries for a custodian, two lines each: number, time, kind, study, researcher and
// loss, in parentheses if it was not spent; then the sentence. What a terminal would obey rather than show is replaced.
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
		if _, err := fmt.Fprintf(w, "%s\n    %s\n", printable(strings.Join(line, "  ")), printable(e.Text)); err != nil {
			return err
		}
	}
	return nil
}

// lossWords writes a loss so that nobody adds up what was not spent.
func lossWords(kind Kind, l dp.Loss) string {
	parts := make([]string, 0, 3)
	if l.Epsilon != 0 {
		parts = append(parts, "ε = "+decimal(l.Epsilon, 9))
	}
	if l.Rho != 0 {
		parts = append(parts, "ρ = "+rho(l.Rho))
	}
	if noise := l.NoiseDelta; noise != math.MaxInt64 && noise+l.Delta != 0 { // of a former version's Gaussian noise
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

// WriteCSV writes a header and each entry, complete, as one record. Losses are decimal numbers.
func WriteCSV(w io.Writer, entries ...Entry) error {
	out := csv.NewWriter(w)
	out.Write([]string{"sequence", "time", "kind", "study", "researcher", "query", "reservation", "expires",
		"epsilon", "rho", "noise_delta", "delta", "text", "detail", "previous", "hash"})
	for _, e := range entries {
		out.Write([]string{strconv.FormatInt(e.Sequence, 10), formatTime(e.Time), string(e.Kind), e.Study, e.Researcher,
			e.Query, e.Reservation, formatTime(e.Expires), decimal(e.Loss.Epsilon, 9), rho(e.Loss.Rho),
			finite(e.Loss.NoiseDelta, 18), decimal(e.Loss.Delta, 18), e.Text, string(e.Detail),
			hex.EncodeToString(e.Previous[:]), hex.EncodeToString(e.Hash[:])})
	}
	out.Flush()
	return out.Error()
}
