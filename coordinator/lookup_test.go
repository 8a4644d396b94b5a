package coordinator

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/fragment"
)

// More than half of the hospitals that have a copy must hold the same rows. Hospitals that do not answer count too.
func TestMajority(t *testing.T) {
	votes := func(said string) (all []answerGroup) { // "aab-": two hold a, one b, and one is away; "+": too many rows
		for i, c := range said {
			v := answerGroup{hospital: string(rune('A' + i)), digest: sha256.Sum256([]byte(string(c)))}
			text := string(c)
			v.found.Rows = [][]*string{{&text}}
			switch c {
			case '-':
				v.absent = &Absence{Name: v.hospital, Code: absentUnreachable}
			case '+':
				v.absent = &Absence{Name: v.hospital, Code: "NODE_PUBLIC"}
			}
			all = append(all, v)
		}
		return all
	}
	for said, want := range map[string]string{
		"a": "a from A", "aa": "a from A B", "aab": "a from A B, not C", "bcaaa": "a from C D E, not A B", "aa-": "a from A B",
		"ab": "PUBLIC_DIFFERS", "aabb": "PUBLIC_DIFFERS", "aab-": "PUBLIC_DIFFERS", "abc": "PUBLIC_DIFFERS", "a-": "HOSPITAL_REFUSED", "a--": "HOSPITAL_REFUSED", "--": "HOSPITAL_REFUSED",
		"++a": "TOO_LARGE", "+": "TOO_LARGE", "+aa": "a from B C",
	} {
		found, from, err := majority(votes(said), []string{"concept"})
		got := ""
		var e *Error
		switch {
		case errors.As(err, &e):
			got = string(e.Code)
		default:
			got = *found.Rows[0][0] + " from " + strings.Join(from.hospitals, " ")
			if len(from.differ) > 0 {
				got += ", not " + strings.Join(from.differ, " ")
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", said, got, want)
		}
	}
}

// The cache of public tables stays within its limit, and the oldest entries are removed first.
func TestFoundRowsAreBounded(t *testing.T) {
	var f foundRows
	long := strings.Repeat("x", foundBytes/4)
	for i := range byte(10) {
		f.put([sha256.Size]byte{i}, keptRows{found: fragment.Found{Rows: [][]*string{{&long}}}})
	}
	for i := range byte(10) {
		if _, ok := f.get([sha256.Size]byte{i}); ok != (i >= 7) {
			t.Errorf("%d is kept: %t", i, ok)
		}
	}
	if f.bytes > foundBytes || len(f.order) != len(f.rows) {
		t.Errorf("%d bytes, %d of %d", f.bytes, len(f.order), len(f.rows))
	}
}
