package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/intramuros/intramuros/internal/synth"
)

func newSynthCommand() *cobra.Command {
	var conf synth.Config
	var source string
	c := &cobra.Command{
		Use:   "synth --out DIR",
		Short: "Generate a synthetic federation of hospitals",
		Long: `Generate the data of a synthetic French federation: OMOP CDM 5.4 tables as Parquet
files, one folder a hospital, for trying things out and for tests. No row describes
a person.

Ages follow the French pyramid; diabetes, hypertension, HbA1c, influenza in winter,
stays, drugs and deaths hang together plausibly, not exactly. About 3 % of the
patients are known to two hospitals, under the same person_id. The same seed gives
the same data. Tables that are in the folder already are replaced.

With --catalog it is dummy data of that catalog, made of the catalog alone: types, bounds,
domains, keys, references, the way to the patient and what may be NULL. Nothing else is
known of them: no date follows another, and codes mean nothing. They are public, and serve
to try a query for nothing before it is asked: over the rows themselves, with --out
FILE.duckdb in any DuckDB, or as the federation would answer, with intramuros demo
--catalog.`,
		Example: `  intramuros synth --out data
  intramuros synth --catalog icu.yaml --out icu.duckdb
  intramuros synth --out data --hospitals nantes,brest --patients 100000 --seed 7`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("out"),
		RunE: func(c *cobra.Command, _ []string) error {
			if source != "" {
				if !c.Flags().Changed("patients") {
					conf.Patients = 0
				}
				return synthDummy(c, source, conf)
			}
			if err := generated(synth.Generate(c.Context(), conf, progressOfTables(c.ErrOrStderr()))); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "the tables of %d hospitals are in %s\n", len(conf.Hospitals), conf.Folder)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&conf.Folder, "out", "", "the `folder` that receives one folder a hospital; with --catalog also a file, .duckdb")
	f.StringVar(&source, "catalog", "", "dummy data of this `catalog`: a file, or builtin:omop-5.4")
	f.StringSliceVar(&conf.Hospitals, "hospitals", demoHospitals, "the hospitals' `names`")
	f.IntVar(&conf.Patients, "patients", 20_000, "how many different people the federation knows; with --catalog, 1000")
	f.Uint64Var(&conf.Seed, "seed", 1, "decides every value")
	return c
}

// synthDummy generates data that a catalog permits.
func synthDummy(c *cobra.Command, source string, conf synth.Config) error {
	of, err := loadCatalog(source)
	if err != nil {
		return err
	}
	dummy := synth.Dummy{Catalog: of, Seed: conf.Seed, Hospitals: conf.Hospitals, Patients: conf.Patients, Out: conf.Folder}
	if err := generated(dummy.Generate(c.Context(), progressOfTables(c.ErrOrStderr()))); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d tables of dummy data, of %d hospitals, are in %s\n", len(of.Tables), len(conf.Hospitals), conf.Folder)
	return err
}

// generated returns a usage error if the requested data cannot be generated.
func generated(err error) error {
	if errors.Is(err, synth.ErrConfig) {
		return usageError{err}
	}
	return err
}

// progressOfTables shows on a terminal which table is being written. Elsewhere it prints nothing.
func progressOfTables(out io.Writer) func(what string, done, total int) {
	if !isTerminal(out) {
		return nil
	}
	return func(what string, done, total int) {
		fmt.Fprintf(out, "%s%s: table %d of %d", eraseLine, what, done, total)
		if done == total {
			fmt.Fprint(out, eraseLine)
		}
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
