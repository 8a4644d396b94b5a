package coordinator

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// Rows of public tables come from the coordinator's own copy if it has one. Otherwise they come from the asked
// hospitals, if a majority of them holds the same rows. They cost nothing. They are cached for the study until the
// hospitals' data change.

// Copy is the coordinator's own copy of the public tables.
type Copy interface {
	// Look passes the rows of a reading to take, in the reading's order. It ends with an error of take, and soon after
	// the end of ctx.
	Look(ctx context.Context, r *fragment.Reading, take func(row []value.Value) error) error
}

// Serve sets the copy from which public tables are read in place of the hospitals. It must be called before the first
// query.
func (c *Coordinator) Serve(own Copy) { c.public = own }

// copiesPerTable is the number of hospitals whose copies are compared at once.
const copiesPerTable = 5

// tooManyRows is the error of a lookup with more rows than the limit.
func tooManyRows(tables []string) *Error {
	return &Error{
		Code: Code(planner.CodeTooLarge), Message: fmt.Sprintf("of %s it reads more than %d rows, or more bytes than are sent at once", strings.Join(tables, ", "), fragment.MaxLookupRows),
		Hint: "narrow it by WHERE, or read it in parts by ORDER BY, LIMIT and OFFSET",
	}
}

// source says where the rows of public tables came from.
type source struct {
	hospitals []string // which hold these rows
	differ    []string // which hold other rows
	tables    []string
}

// lookups reads the public tables that the query needs, given its releases.
func (q *query) lookups(ctx context.Context, releases []released) ([]fragment.Rows, error) {
	if len(q.program.Lookups) == 0 {
		return nil, nil
	}
	ctx, end := q.timeline.step(ctx, phaseLookup)
	defer end("")
	var cells [][]planner.Cell
	for _, r := range releases {
		cells = append(cells, r.cells)
	}
	var found []fragment.Rows
	for i, l := range q.program.Lookups {
		reading, err := q.program.Read(i, cells, q.c.config.Confidence, found)
		if err != nil {
			return nil, planError(err)
		}
		rows := l.Empty()
		if reading != nil {
			if rows, err = q.lookup(ctx, reading, l.Columns()); err != nil {
				return nil, err
			}
		}
		found = append(found, rows)
	}
	return found, nil
}

// lookup reads rows of public tables.
func (q *query) lookup(ctx context.Context, r *fragment.Reading, columns *catalog.Table) (fragment.Rows, error) {
	var found fragment.Found
	var from source
	var err error
	if q.c.public != nil {
		found, err = q.c.ownRows(ctx, r)
	} else {
		found, from, err = q.agreed(ctx, r)
	}
	if err != nil {
		return fragment.Rows{}, err
	}
	if len(found.Rows) > fragment.MaxLookupRows {
		return fragment.Rows{}, tooManyRows(r.Tables())
	}
	from.tables = r.Tables()
	q.sources = append(q.sources, from)
	return found.Read(columns)
}

// ownRows reads the coordinator's own copy.
func (c *Coordinator) ownRows(ctx context.Context, r *fragment.Reading) (fragment.Found, error) {
	var found fragment.Found
	bytes := 0
	err := c.public.Look(ctx, r, func(row []value.Value) error {
		for _, v := range row {
			bytes += len(v.String())
		}
		if len(found.Rows) == fragment.MaxLookupRows || bytes > fragment.MaxLookupBytes {
			return tooManyRows(r.Tables())
		}
		found.Append(row)
		return nil
	})
	return found, err
}

// agreed returns the rows that most of the asked hospitals hold. Hospitals without such a table are not counted.
func (q *query) agreed(ctx context.Context, r *fragment.Reading) (fragment.Found, source, error) {
	l := fragment.Lookup{Query: q.id, Study: q.name, Researcher: q.who.Name, Catalog: q.c.digest, Reading: *r}
	key, err := q.lookupKey(r)
	if err != nil {
		return fragment.Found{}, source{}, err
	}
	if kept, ok := q.c.found.get(key); ok {
		return kept.found, kept.source, nil
	}
	if l.Token, err = q.c.assertion(q.who); err != nil {
		return fragment.Found{}, source{}, err
	}
	body, err := json.Marshal(l)
	if err != nil {
		return fragment.Found{}, source{}, err
	}
	// Only the question decides which of many hospitals are asked. This spreads the work, and the same question gets the
	// same answer.
	parts := slices.Clone(q.parts)
	slices.SortFunc(parts, func(a, b *part) int { return cmp.Compare(a.hospital.Name, b.hospital.Name) })
	if n := len(parts); n > copiesPerTable {
		first := int(key[0]) % n
		parts = append(parts[first:], parts[:first]...)
	}
	var absent []Absence
	for asked := range slices.Chunk(parts, copiesPerTable) {
		votes, without := q.askCopies(ctx, asked, body)
		if ctx.Err() != nil {
			return fragment.Found{}, source{}, ctx.Err()
		}
		absent = append(absent, without...)
		if len(votes) == 0 {
			continue // none of these has the tables
		}
		found, from, err := majority(votes, r.Tables())
		if err == nil {
			q.c.found.put(key, keptRows{found, from})
		}
		return found, from, err
	}
	return fragment.Found{}, source{}, q.tooFew(CodeHospitalMissing, append(absent, q.missing...))
}

// answerGroup is the response of one hospital that has the tables.
type answerGroup struct {
	hospital string
	found    fragment.Found
	digest   [sha256.Size]byte
	absent   *Absence // why it did not answer
}

// noSource is the code of a hospital that lacks a table, or has closed it.
const noSource = "NODE_SOURCE"

// askCopies asks hospitals for rows. Hospitals that have no copy to compare, or are too old to show it, are returned
// separately.
func (q *query) askCopies(ctx context.Context, parts []*part, body []byte) (votes []answerGroup, without []Absence) {
	var mu sync.Mutex
	each(parts, func(p *part) {
		v := q.askCopy(ctx, p.hospital, body)
		mu.Lock()
		defer mu.Unlock()
		if v.absent != nil && (v.absent.Code == noSource || v.absent.Code == absentOld) {
			without = append(without, *v.absent)
			return
		}
		votes = append(votes, v)
	})
	slices.SortFunc(votes, func(a, b answerGroup) int { return cmp.Compare(a.hospital, b.hospital) })
	return votes, without
}

func (q *query) askCopy(ctx context.Context, h Hospital, body []byte) answerGroup {
	v := answerGroup{hospital: h.Name}
	if _, v.absent = h.wireVersion(fragment.LookupSince); v.absent != nil {
		return v
	}
	var err error
	if v.found, err = q.c.nodes.lookup(ctx, h, body); err != nil {
		a := absence(h.Name, err)
		v.absent = &a
		q.c.log.Warn("hospital is out of a lookup", slog.String("query", q.id), slog.String("hospital", a.Name), slog.String("code", a.Code))
		return v
	}
	b, _ := json.Marshal(v.found.Rows) // texts always encode
	v.digest = sha256.Sum256(b)
	return v
}

// majority returns the rows that more than half of the hospitals hold.
func majority(votes []answerGroup, tables []string) (fragment.Found, source, error) {
	same := map[[sha256.Size]byte][]string{}
	var away []Absence
	many := 0
	for _, v := range votes {
		if v.absent == nil {
			same[v.digest] = append(same[v.digest], v.hospital)
			continue
		}
		away = append(away, *v.absent)
		if v.absent.Code == "NODE_PUBLIC" {
			many++
		}
	}
	if 2*many > len(votes) {
		return fragment.Found{}, source{}, tooManyRows(tables)
	}
	for _, v := range votes {
		holds := same[v.digest]
		if v.absent != nil || 2*len(holds) <= len(votes) {
			continue
		}
		from := source{hospitals: holds}
		for _, o := range votes {
			if o.absent == nil && o.digest != v.digest {
				from.differ = append(from.differ, o.hospital)
			}
		}
		return v.found, from, nil
	}
	if len(same) < 2 {
		return fragment.Found{}, source{}, &Error{
			Code: CodeHospitalRefused, Hospitals: away, Message: fmt.Sprintf("too few hospitals tell what is in %s: more than half of %d must", strings.Join(tables, ", "), len(votes)),
			Hint: "nothing was charged for it; ask again later",
		}
	}
	var groups []string
	for _, holds := range same {
		groups = append(groups, strings.Join(holds, " and "))
	}
	slices.Sort(groups)
	return fragment.Found{}, source{}, &Error{
		Code: CodePublicDiffers, Hospitals: away,
		Message: fmt.Sprintf("the hospitals hold other rows of %s than each other, and no majority of the %d that were asked holds the same: %s", strings.Join(tables, ", "), len(votes), strings.Join(groups, "; ")),
		Hint:    "choose whose copy to read, /*+ hospitals = 'NAME' */; or ask the federation's operator for one copy (`public` in coordinator.yaml)",
	}
}

// lookupKey is the cache key of a lookup: SHA-256 of everything that its rows depend on, and of the study, because a
// fast answer reveals that somebody has asked for the rows before.
func (q *query) lookupKey(r *fragment.Reading) ([sha256.Size]byte, error) {
	type site struct{ Name, DataVersion string }
	of := struct {
		Study, Catalog string
		Reading        *fragment.Reading
		Sites          []site
	}{Study: q.name, Catalog: q.c.digest, Reading: r}
	for _, p := range q.parts {
		of.Sites = append(of.Sites, site{p.hospital.Name, p.hospital.DataVersion})
	}
	slices.SortFunc(of.Sites, func(a, b site) int { return cmp.Compare(a.Name, b.Name) })
	b, err := json.Marshal(of)
	return sha256.Sum256(b), err
}

// keptRows are the cached rows of a lookup.
type keptRows struct {
	found  fragment.Found
	source source
}

// foundBytes is about the size of the cache of public tables.
const foundBytes = 64 << 20

// foundRows caches rows of public tables in memory. Beyond foundBytes, the oldest are removed.
type foundRows struct {
	mu    sync.Mutex
	rows  map[[sha256.Size]byte]keptRows
	order [][sha256.Size]byte
	bytes int
}

func (f *foundRows) get(key [sha256.Size]byte) (keptRows, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.rows[key]
	return k, ok
}

func (f *foundRows) put(key [sha256.Size]byte, k keptRows) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows == nil {
		f.rows = map[[sha256.Size]byte]keptRows{}
	}
	if _, ok := f.rows[key]; ok {
		return
	}
	f.rows[key], f.order, f.bytes = k, append(f.order, key), f.bytes+k.bytes()
	for f.bytes > foundBytes {
		f.bytes -= f.rows[f.order[0]].bytes()
		delete(f.rows, f.order[0])
		f.order = f.order[1:]
	}
}

// bytes estimates the memory of the rows.
func (k keptRows) bytes() int {
	n := 200
	for _, row := range k.found.Rows {
		n += 24
		for _, s := range row {
			if n += 8; s != nil {
				n += 16 + len(*s)
			}
		}
	}
	return n
}

// told says where rows of public tables came from, and whose copies differ.
func told(sources []source) (hospitals, warnings []string) {
	for _, s := range sources {
		for _, h := range s.hospitals {
			if !slices.Contains(hospitals, h) {
				hospitals = append(hospitals, h)
			}
		}
		if len(s.differ) > 0 {
			w := fmt.Sprintf("%s: other rows at %s than at most hospitals, whose rows these are", strings.Join(s.tables, ", "), strings.Join(s.differ, ", "))
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
	}
	slices.Sort(hospitals)
	return hospitals, warnings
}

// lookup asks a hospital for rows of its public tables.
func (n *nodes) lookup(ctx context.Context, h Hospital, body []byte) (fragment.Found, error) {
	var f fragment.Found
	b, err := n.act(ctx, h, actionLookup, body)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, invalidAnswer(err)
	}
	if len(f.Rows) > fragment.MaxLookupRows {
		return f, invalidAnswer(errors.New("more rows than leave at once"))
	}
	return f, nil
}
