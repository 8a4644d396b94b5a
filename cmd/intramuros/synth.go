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
	c := &cobra.Command{
		Use:   "synth --out DIR",
		Short: "Generate a synthetic federation of hospitals",
		Long: `Generate the data of a synthetic French federation: OMOP CDM 5.4 tables as Parquet
files, one folder a hospital, for trying things out and for tests. No row describes
a person.

Ages follow the French pyramid; diabetes, hypertension, HbA1c, influenza in winter,
stays, drugs and deaths hang together plausibly, not exactly. About 3 % of the
patients are known to two hospitals, under the same person_id. The same seed gives
the same data. Tables that are in the folder already are replaced.`,
		Example: `  intramuros synth --out data
  intramuros synth --out data --hospitals nantes,brest --patients 100000 --seed 7`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("out"),
		RunE: func(c *cobra.Command, _ []string) error {
			err := synth.Generate(c.Context(), conf, progressOfTables(c.ErrOrStderr()))
			if errors.Is(err, synth.ErrConfig) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the tables of %d hospitals are in %s\n", len(conf.Hospitals), conf.Folder)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&conf.Folder, "out", "", "the `folder` that receives one folder a hospital")
	f.StringSliceVar(&conf.Hospitals, "hospitals", demoHospitals, "the hospitals' `names`")
	f.IntVar(&conf.Patients, "patients", 20_000, "how many different people the federation knows")
	f.Uint64Var(&conf.Seed, "seed", 1, "decides every value")
	return c
}

// progressOfTables shows on a terminal which table is written; elsewhere it says nothing.
func progressOfTables(out io.Writer) func(hospital string, done, total int) {
	if !isTerminal(out) {
		return nil
	}
	return func(hospital string, done, total int) {
		fmt.Fprintf(out, "%s%s: table %d of %d", eraseLine, hospital, done, total)
		if done == total {
			fmt.Fprint(out, eraseLine)
		}
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
