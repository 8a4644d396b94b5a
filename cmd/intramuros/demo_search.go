package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/intramuros/intramuros/internal/synth"
)

// tourSearched is a question whose exact numbers are searched for at the coordinator. For each hospital it has two sums
// that are adjacent in memory and too large to occur by chance.
const tourSearched = `SELECT gender_concept_id, SUM(year_of_birth) AS years
FROM person
WHERE gender_concept_id IN (8507, 8532)
GROUP BY gender_concept_id
ORDER BY gender_concept_id`

// search asks the same question with and without sealing. Each time it searches the coordinator's memory, ledger and
// log for the hospitals' exact sums.
func (d *demo) search(ctx context.Context) error {
	d.pose("What does the coordinator hold? Its memory, its ledger and its log are searched for each hospital's exact sums of this.", tourSearched)
	pairs, err := d.exactSums(ctx)
	if err != nil {
		return err
	}
	for _, open := range []bool{false, true} {
		ask := d.asking
		study := "sealed    "
		if ask.request.SQL = tourSearched; open {
			ask.request.Study, study = demoOpenStudy, "not sealed"
		}
		if _, err := ask.answer(ctx, d.messages); err != nil {
			return err
		}
		found, err := d.holds(pairs)
		if errors.Is(err, errNoMemory) {
			d.printf("  This machine does not let one process look into another, so it is not shown here.\n")
			return nil
		}
		if err != nil {
			return err
		}
		if !open && found > 0 {
			return fmt.Errorf("in a sealed study the coordinator holds the exact sums of %d hospitals", found)
		}
		d.printf("  %s   the exact sums of %d of the %d hospitals are there\n", study, found, len(d.hospitals))
	}
	return nil
}

// exactPair is a hospital's two exact sums.
type exactPair struct{ men, women int64 }

// in reports whether b contains both: adjacent as in memory, in either order, or both as digits as in the ledger and
// the log.
func (p exactPair) in(b []byte) bool {
	side := func(a, b int64) []byte {
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(a)), uint64(b)) //nolint:gosec // years
	}
	return bytes.Contains(b, side(p.men, p.women)) || bytes.Contains(b, side(p.women, p.men)) ||
		bytes.Contains(b, fmt.Append(nil, p.men)) && bytes.Contains(b, fmt.Append(nil, p.women))
}

// exactSums returns each hospital's exact sums.
func (d *demo) exactSums(ctx context.Context) (pairs []exactPair, err error) {
	rows, err := synth.Exact(ctx, filepath.Join(d.folder, "data"), d.hospitals,
		"SELECT sum(year_of_birth) FILTER (WHERE gender_concept_id = 8507)::BIGINT, sum(year_of_birth) FILTER (WHERE gender_concept_id = 8532)::BIGINT FROM person GROUP BY hospital")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		men, ok := row[0].(int64)
		women, also := row[1].(int64)
		if !ok || !also {
			return nil, fmt.Errorf("the exact sums are %v", row)
		}
		pairs = append(pairs, exactPair{men, women})
	}
	return pairs, nil
}

// errNoMemory means that the memory of another process cannot be read here.
var errNoMemory = errors.New("the memory of another process cannot be read")

// holds counts the hospitals whose sums are in the coordinator's memory or on its disk.
func (d *demo) holds(pairs []exactPair) (hospitals int, err error) {
	found := make([]bool, len(pairs))
	look := func(b []byte) {
		for i, p := range pairs {
			found[i] = found[i] || p.in(b)
		}
	}
	coordinator := d.children[len(d.children)-1]
	if err := readMemory(coordinator.pid, look); err != nil {
		return 0, err
	}
	err = filepath.WalkDir(filepath.Join(d.folder, "coordinator"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		look(b)
		return err
	})
	for _, f := range found {
		if f {
			hospitals++
		}
	}
	return hospitals, err
}
