package duckdb

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// counted stores what files contained, so that only new files are read again.
type counted struct {
	mu    sync.Mutex
	files map[string]count
}

// count is what a file contained in one of its states.
type count struct {
	size    int64
	changed time.Time
	tally   csv.Tally
}

// Verify is the engine's Verify; it also looks for lines of CSV files that do not fit.
func (e *Engine) Verify(ctx context.Context) ([]engine.Finding, error) {
	return e.withFiles(ctx, e.Engine.Verify)
}

// Contradictions is the engine's Contradictions; it also looks for lines of CSV files that do not fit.
func (e *Engine) Contradictions(ctx context.Context) ([]engine.Finding, error) {
	return e.withFiles(ctx, e.Engine.Contradictions)
}

func (e *Engine) withFiles(ctx context.Context, rest func(context.Context) ([]engine.Finding, error)) ([]engine.Finding, error) {
	var all []engine.Finding
	for _, v := range e.views {
		found, err := e.verifyFiles(ctx, v)
		if text := e.config.Tables[v.Table.Source()].Select; text != "" {
			for _, name := range slices.Sorted(maps.Keys(e.inside)) {
				if at := e.inside[name]; err == nil && mentions(text, name) && !isParquet(at.File) {
					var more []engine.Finding
					more, err = e.verifyLines(ctx, v.Table.Name, at.File, e.config.settings(at.Settings), nil)
					found = append(found, more...)
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", v.Table.Name, err)
		}
		all = append(all, found...)
	}
	more, err := rest(ctx)
	return append(all, more...), err
}

// verifyFiles checks that a table's files still have the columns that its view reads, and counts the lines of CSV files
// that do not fit.
func (e *Engine) verifyFiles(ctx context.Context, v *engine.View) (found []engine.Finding, _ error) {
	if v.File == "" {
		return nil, nil
	}
	table := v.Table.Name
	say := func(s engine.Severity, plain bool, text string, args ...any) {
		found = append(found, engine.Finding{Table: table, Severity: s, Text: fmt.Sprintf(text, args...), Plain: plain})
	}
	source := v.Table.Source()
	now, _, err := (&places{driver: e.driver, config: e.config}).Find(ctx, source, e.config.Tables[source])
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		say(engine.SeverityError, true, "is closed: %s", engine.Close(table, err).Why)
		return found, nil
	}
	if !isParquet(v.File) {
		now.SQL = v.SQL // a CSV view reads each file by the names in its header
	}
	if what := v.Changed(now); what != "" {
		say(engine.SeverityError, true, "is closed: its files changed since the node started: %s; start the node anew", what)
	}
	if now.Note != "" {
		say(engine.SeverityWarning, true, "%s", now.Note)
	}
	for _, c := range now.Columns {
		if c.Note != "" && v.Reads(c.Name) {
			say(engine.SeverityWarning, true, "%s", c.Note)
		}
	}
	if isParquet(v.File) {
		return found, e.readable(ctx, v, say)
	}
	more, err := e.verifyLines(ctx, table, v.File, e.config.settings(source), v.Reads)
	return append(found, more...), err
}

// readable checks that the texts of Parquet files are UTF-8. A query that reads another text would fail after it was
// charged.
func (e *Engine) readable(ctx context.Context, v *engine.View, say func(engine.Severity, bool, string, ...any)) error {
	var texts []string
	for _, l := range v.Columns {
		if quoted, err := compile.Name(l.Name); err == nil && l.Kind == "VARCHAR" && v.Reads(l.Name) {
			texts = append(texts, "max(strlen("+quoted+"))")
		}
	}
	if len(texts) == 0 {
		return nil
	}
	err := e.driver.Query(ctx, "SELECT "+strings.Join(texts, ", ")+" FROM "+v.SQL, false, func([]any) error { return nil })
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := "a file cannot be read to its end; it may be damaged: let the load write it anew"
	if strings.Contains(inWords(ctx, err), "UTF-8") {
		why = inWords(ctx, err)
	}
	say(engine.SeverityError, true, "is closed: %s", why)
	return nil
}

func isParquet(file string) bool { return strings.EqualFold(filepath.Ext(file), ".parquet") }

// verifyLines counts the lines of a table's CSV files that do not fit. reads reports whether a column is read; nil: any
// may be.
func (e *Engine) verifyLines(ctx context.Context, table, pattern string, settings *csv.Settings, reads func(string) bool) (found []engine.Finding, _ error) {
	say := func(s engine.Severity, plain bool, text string, args ...any) {
		found = append(found, engine.Finding{Table: table, Severity: s, Text: fmt.Sprintf(text, args...), Plain: plain})
	}
	d, err := settings.Dialect()
	if err != nil {
		return nil, err
	}
	heads, err := (&csvTable{Pattern: pattern, Dialect: d}).heads()
	if err != nil {
		say(engine.SeverityError, true, "is closed: %s", inWords(ctx, engine.NewTableFault(ctx, "a CSV file cannot be read", err)))
		return found, ctx.Err()
	}
	var all csv.Tally
	missing := 0
	for _, h := range heads {
		if h.Problem != "" {
			say(engine.SeverityError, true, "is closed: no line of %s can be read: %s", h.Path, h.Problem)
			continue
		}
		t, err := e.count(ctx, d, h)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			say(engine.SeverityError, true, "is closed: %s cannot be read", h.Path)
			continue
		}
		if t.Broken {
			say(engine.SeverityError, true, "is closed: %s is not well-formed from its first to its last character, as `multiline` needs: a quote is where it cannot be, or does not end", h.Path)
			continue
		}
		all.Add(&t)
		if len(h.Names) == 1 {
			if i := strings.IndexAny(h.Names[0], ",;\t|"); i >= 0 {
				say(engine.SeverityWarning, true, "has one column in %[1]s, whose name holds %[2]q: where fields end with it, set csv: {delimiter: %[2]q} in node.yaml", h.Path, h.Names[0][i:i+1])
			}
		}
		if reads != nil && !slices.ContainsFunc(h.Names, reads) {
			missing++
		}
	}
	if missing > 0 {
		say(engine.SeverityError, true, "is closed: %d of its %d files name no column of the catalog: is their first line a line of names? See `header` and `columns` in docs/node.yaml", missing, len(heads))
	}
	lost := all.Lost()
	if lost == 0 {
		if all.Odd > 0 {
			say(engine.SeverityWarning, false, "has text behind a closing quote in %d of %d lines; it is read as a part of the field", all.Odd, all.Lines)
		}
		return found, nil
	}
	accepted := 0.0
	if settings.MaxRejected != nil {
		accepted = float64(*settings.MaxRejected)
	}
	text := fmt.Sprintf("loses %d of %d lines, which do not fit: %s", lost, all.Lines, d.Reasons(&all))
	if float64(lost) > accepted*float64(all.Lines) {
		say(engine.SeverityError, false, "%s. Mend the files, or csv in node.yaml; or accept the loss there by max_rejected", text)
	} else {
		say(engine.SeverityWarning, false, "%s; node.yaml accepts it", text)
	}
	return found, nil
}

// count counts a file, or returns the stored count.
func (e *Engine) count(ctx context.Context, d *csv.Dialect, h *csv.Head) (csv.Tally, error) {
	info, err := os.Stat(h.Path)
	if err != nil {
		return csv.Tally{}, err
	}
	e.counted.mu.Lock()
	known, ok := e.counted.files[h.Path]
	e.counted.mu.Unlock()
	// A file that changed within the last seconds may change again within the same tick of the file system's clock.
	if ok && known.size == info.Size() && known.changed.Equal(info.ModTime()) && time.Since(info.ModTime()) > 5*time.Second {
		return known.tally, nil
	}
	t, err := d.Count(ctx, h)
	if err != nil {
		return t, err
	}
	e.counted.mu.Lock()
	defer e.counted.mu.Unlock()
	if e.counted.files == nil {
		e.counted.files = map[string]count{}
	}
	e.counted.files[h.Path] = count{info.Size(), info.ModTime(), t}
	return t, nil
}
