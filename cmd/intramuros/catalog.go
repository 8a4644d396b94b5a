package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/duckdb"
)

func newCatalogCommand() *cobra.Command {
	c := newGroup("catalog", "Draft, check and show a federation's data dictionary", `
A catalog is the federation's data dictionary: tables, columns, types, bounds, domains, how
each table reaches its patient, and which tables are public. Coordinator and nodes must
have the same one; they compare its digest.`)
	c.AddCommand(newCatalogInitCommand(), newCatalogCheckCommand(), newCatalogShowCommand())
	return c
}

// loadCatalog reads a catalog: a file, or builtin:NAME.
func loadCatalog(source string) (*catalog.Catalog, error) {
	name, builtin := strings.CutPrefix(source, "builtin:")
	if !builtin {
		return catalog.Load(source)
	}
	c, ok := catalog.Builtin(name)
	if !ok {
		return nil, fmt.Errorf("there is no built-in catalog %q; there is builtin:omop-5.4", name)
	}
	return c, nil
}

func newCatalogShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [FILE | builtin:NAME]",
		Short: "Print a catalog in full, and its digest",
		Long: `Prints a catalog as it is after extends and defaults, and its digest in a comment at the
end. Two catalogs with one digest mean the same. Without an argument it prints the built-in
OMOP CDM 5.4.`,
		Example: `  intramuros catalog show
  intramuros catalog show federation.yaml | tail -1`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			source := "builtin:omop-5.4"
			if len(args) == 1 {
				source = args[0]
			}
			cat, err := loadCatalog(source)
			if err != nil {
				return err
			}
			if err := cat.WriteYAML(c.OutOrStdout()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "# digest "+cat.Digest())
			return err
		},
	}
}

func newCatalogCheckCommand() *cobra.Command {
	var source, path string
	var fix bool
	var cfg engineFile
	var local duckdb.Config
	c := &cobra.Command{
		Use:   "check [--catalog FILE] [--config node.yaml | --database FILE | --folder DIR]",
		Short: "Say what is wrong with a catalog, alone or against the data",
		Long: `Reads a catalog and says what is wrong with it, each fault with its line. With a
hospital's node.yaml, or its database or folder, it also compares the data with the catalog:

    error    the data contradicts a key or one_row_per_patient, ids of patients are not read
             as they are stored, a file cannot be read as declared, or little of a column is
             usable; a node answers nothing over that table
    warning  a column that is missing or of another type, values outside of bounds or
             domain, NULLs where none are declared, tables that are not offered

A key that is there to tell rows apart, not patients, and does not, can be given up: --fix
writes key: none for its table into the node's file. Queries that read it (COUNT(DISTINCT key),
joins by it) are then refused here, and all others are answered.

Warnings count rows exactly, without noise: they are for the hospital's custodian, and
stay there. Exits with 1 if there is an error.`,
		Example: `  intramuros catalog check --catalog federation.yaml
  intramuros catalog check --config node.yaml
  intramuros catalog check --catalog builtin:omop-5.4 --folder /srv/omop`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if path != "" {
				f, err := loadNode(path)
				if err != nil {
					return err
				}
				cfg = f.Engine
				if source == "" {
					source = f.Catalog
				}
			}
			if source == "" {
				return usageError{errors.New("give --catalog, or --config with a node's file that names one")}
			}
			cat, err := loadCatalog(source)
			if err != nil {
				return err
			}
			if local.Database != "" || local.Folder != "" {
				cfg.DuckDB = &local
			}
			if cfg == (engineFile{}) {
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s: %d tables, no fault; digest %s\n", cat.Name, len(cat.Tables), cat.Digest())
				return err
			}
			if fix && path == "" {
				return usageError{errors.New("--fix writes into a node's file; give it by --config")}
			}
			drop, err := checkData(c.Context(), c.OutOrStdout(), cat, cfg)
			if fix && len(drop) > 0 && (err == nil || errors.Is(err, errShown)) {
				return dropKeys(c.OutOrStdout(), path, cfg.kind(), cat, drop)
			}
			return err
		},
	}
	c.Flags().BoolVar(&fix, "fix", false, "write key: none into the node's file for keys that only tell rows apart, and do not")
	c.Flags().StringVar(&source, "catalog", "", "the catalog: a file, or builtin:omop-5.4")
	c.Flags().StringVarP(&path, "config", "c", "", "a node's configuration, for its database and its catalog")
	c.Flags().StringVar(&local.Database, "database", "", "a .duckdb file to compare with")
	c.Flags().StringVar(&local.Folder, "folder", "", "a folder of Parquet or CSV files to compare with")
	c.MarkFlagsMutuallyExclusive("config", "database", "folder")
	return c
}

// checkData prints its findings, and returns the tables whose key could be given up.
func checkData(ctx context.Context, w io.Writer, cat *catalog.Catalog, cfg engineFile) (drop []string, err error) {
	var key [32]byte // nothing that depends on it is shown
	rand.Read(key[:])
	e, err := cfg.open(ctx, cat, "check", key[:])
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	findings, err := e.Verify(ctx)
	if err != nil {
		return nil, inDetail(err)
	}
	count := map[engine.Severity]int{}
	for _, f := range findings {
		count[f.Severity]++
		if f.Key && !slices.Contains(drop, f.Table) {
			drop = append(drop, f.Table)
		}
		place := f.Table
		if f.Column != "" {
			place += "." + f.Column
		}
		fmt.Fprintf(w, "%-8s %s %s\n", f.Severity, place, f.Text)
	}
	fmt.Fprintf(w, "%s: %s, %s\n", cat.Name, counted(count[engine.SeverityError], "error"), counted(count[engine.SeverityWarning], "warning"))
	if count[engine.SeverityError] > 0 {
		return drop, errShown
	}
	return drop, nil
}

// counted writes a number of things; what names one of them.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// dropKeys writes key: none into a node's file for tables, and says what that costs.
func dropKeys(w io.Writer, path, kind string, cat *catalog.Catalog, tables []string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return err
	}
	at := below(below(below(doc.Content[0], "engine"), kind), "tables")
	for _, name := range tables {
		n := below(at, name)
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "key"}, &yaml.Node{Kind: yaml.ScalarNode, Value: engine.KeyNone})
		t, _ := cat.Table(name)
		fmt.Fprintf(w, "fixed    %s key: none is in %s now; what reads %s, as COUNT(DISTINCT …) and joins by it, is refused here\n", name, path, strings.Join(t.Key, ", "))
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", out.Bytes(), info.Mode().Perm()); err != nil {
		return err
	}
	fmt.Fprintln(w, "run the check again; a node that runs must be started anew")
	return os.Rename(path+".new", path)
}

// below returns the value of a mapping's key, and adds the key if it is missing.
func below(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			if v := n.Content[i+1]; v.Kind == yaml.MappingNode {
				return v
			}
			n.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode}
			return n.Content[i+1]
		}
	}
	v := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
	return v
}

func newCatalogInitCommand() *cobra.Command {
	var local duckdb.Config
	var name, patient, out, path string
	c := &cobra.Command{
		Use:   "init --database FILE | --folder DIR | --config node.yaml",
		Short: "Draft a catalog from a database or a folder of files",
		Long: `Reads all tables of a .duckdb file, of a folder of Parquet or CSV files, or of the database
that a node's file names (the catalog that it names need not be there yet), and drafts a
catalog. Every line with "# DECIDE:" is a guess that a person must confirm or change, since
the catalog is public, and what it calls public is released as it is:

    public or private  a table is private until somebody says otherwise, and the draft does
                       not load while a private table has no way to its patient
    patient, key       guessed from names; catalog check compares them with the data
    bounds             guessed from the data and widened to round numbers. An exact
                       extreme is a private value: give what holds in every hospital
    domain             in the comment only: which values exist is the data's secret, until
                       somebody declares that it is not

Of CSV files it also proposes, in comments at the end, how they are written: the settings
"csv" for the node's file. docs/catalog.md explains every key of a catalog.

A hospital with OMOP data needs no draft: use builtin:omop-5.4.`,
		Example: `  intramuros catalog init --folder /srv/icu --name icu --patient uniquepid --out icu.yaml
  intramuros catalog check --catalog icu.yaml --folder /srv/icu     # Parquet, or CSV in UTF-8 with commas
  intramuros catalog check --catalog icu.yaml --config node.yaml    # CSV as node.yaml declares it`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := engineFile{DuckDB: &local}
			if path != "" {
				f, err := loadNode(path)
				if err != nil {
					return err
				}
				cfg = f.Engine
			}
			tables, err := cfg.describe(c.Context())
			if err != nil {
				return err
			}
			if len(tables) == 0 {
				return errors.New("there is no table")
			}
			text, err := draftCatalog(name, patient, tables)
			if err != nil {
				return err
			}
			if out == "" {
				_, err := io.WriteString(c.OutOrStdout(), text)
				return err
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_, err = f.WriteString(text)
			return errors.Join(err, f.Close())
		},
	}
	c.Flags().StringVar(&local.Database, "database", "", "a .duckdb file")
	c.Flags().StringVar(&local.Folder, "folder", "", "a folder of Parquet or CSV files")
	c.Flags().StringVarP(&path, "config", "c", "", "a node's configuration, for its database")
	c.Flags().StringVar(&name, "name", "draft", "name of the catalog")
	c.Flags().StringVar(&patient, "patient", "", "the column that holds the patient's id, where a table has it (default: guessed)")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write, which must not exist (default: standard output)")
	c.MarkFlagsOneRequired("database", "folder", "config")
	c.MarkFlagsMutuallyExclusive("database", "folder", "config")
	return c
}
