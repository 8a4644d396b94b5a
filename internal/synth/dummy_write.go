package synth

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// folders writes a folder for each hospital.
func (g *dummy) folders(ctx context.Context, progress func(string, int, int)) error {
	for _, name := range g.Hospitals {
		if err := os.MkdirAll(filepath.Join(g.Out, name), 0o755); err != nil {
			return fmt.Errorf("making the hospital's folder: %w", err)
		}
	}
	sources := g.sources()
	for i, name := range sources {
		text, order := g.source(name)
		if err := g.run(ctx, name, "CREATE TEMP TABLE whole AS "+text); err != nil {
			return err
		}
		for site, hospital := range g.Hospitals {
			text := fmt.Sprintf(`SELECT * EXCLUDE ("site of row", "number of row") FROM whole WHERE "site of row" IN (0, %d) ORDER BY %s`, site+1, order)
			if err := export(ctx, g.conn, text, filepath.Join(g.Out, hospital, name+".parquet")); err != nil {
				return err
			}
		}
		if err := g.run(ctx, name, "DROP TABLE whole"); err != nil {
			return err
		}
		if progress != nil {
			progress(name, i+1, len(sources))
		}
	}
	return nil
}

// sources lists the hospitals' tables, in the catalog's order.
func (g *dummy) sources() (names []string) {
	for _, t := range g.Catalog.Tables {
		if !slices.Contains(names, t.Source()) {
			names = append(names, t.Source())
		}
	}
	return names
}

// source is the query for the rows of a hospital's table, which may have parts, and their order.
func (g *dummy) source(name string) (text, order string) {
	parts := g.Catalog.Parts(name)
	if len(parts) == 0 {
		t, _ := g.Catalog.Table(name)
		return g.whole(t), `"number of row"`
	}
	var all []string
	for _, t := range parts {
		all = append(all, "("+g.whole(t)+")")
	}
	return strings.Join(all, "\nUNION ALL "), `"number of row", "` + parts[0].Part.Column + `"`
}

// database writes one file. The file gets its name only when it is complete.
func (g *dummy) database(ctx context.Context, progress func(string, int, int)) error {
	partial := g.Out + ".partial"
	defer os.Remove(partial)
	if err := os.Remove(partial); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("the file cannot be written: %w", err)
	}
	if err := g.run(ctx, g.Out, "ATTACH "+quote(partial)+" AS dummy"); err != nil {
		return err
	}
	var names []string
	for _, name := range g.Hospitals {
		names = append(names, quote(name))
	}
	for i, t := range g.Catalog.Tables {
		hospital := ""
		if len(g.Catalog.Shown(t).Columns) > len(t.Columns) {
			hospital = fmt.Sprintf(`, list_extract([%s], "site of row") AS hospital`, strings.Join(names, ", "))
		}
		text := fmt.Sprintf(`CREATE TABLE dummy."%s" AS SELECT * EXCLUDE ("site of row", "number of row")%s FROM (%s) ORDER BY "number of row"`, t.Name, hospital, g.whole(t))
		if err := g.run(ctx, t.Name, text); err != nil {
			return err
		}
		if progress != nil {
			progress(t.Name, i+1, len(g.Catalog.Tables))
		}
	}
	for _, name := range g.sources() { // with the tables that are divided into parts
		var parts []string
		for _, t := range g.Catalog.Parts(name) {
			parts = append(parts, fmt.Sprintf(`FROM dummy."%s"`, t.Name))
		}
		if parts != nil {
			if err := g.run(ctx, name, fmt.Sprintf(`CREATE TABLE dummy."%s" AS %s`, name, strings.Join(parts, " UNION ALL "))); err != nil {
				return err
			}
		}
	}
	if err := g.run(ctx, g.Out, "DETACH dummy"); err != nil {
		return err
	}
	if err := os.Rename(partial, g.Out); err != nil {
		return fmt.Errorf("finishing the database: %w", err)
	}
	return nil
}
