package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/coordinator/httpapi"
)

func newProfileCommand() *cobra.Command {
	var a queryCommand
	var req httpapi.ProfileRequest
	c := &cobra.Command{
		Use:   "profile [flags]",
		Short: "Tell about how many rows patients have in tables, and where values without bounds lie",
		Long: `Tell, of each table with patients that the study may read, about how many rows its patients
have (up to powers of two, at each hospital by itself), and between which powers of two the
values of columns lie that the catalog gives no bounds.

A table that the study has profiled before costs nothing, whoever asks, until --again takes
a new profile. Otherwise ordinary queries are asked, which the study pays for as for any
other: all together cost at most --share of its whole budget. From then on explain tells of
the profile, errors and biases are foretold by it, and a refusal for want of bounds proposes
its CLAMP. Take it early: it says what max_rows a question needs.
` + envHelp,
		Example: `  intramuros profile --study diabetes-2027 --table measurement
  intramuros profile --study diabetes-2027 --share 0.05`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if a.server == "" {
				return usageError{errNoServer}
			}
			req.Study = a.request.Study
			return a.profile(c.Context(), req, c.OutOrStdout())
		},
	}
	a.serverFlags(c)
	f := c.Flags()
	f.StringArrayVar(&req.Tables, "table", nil, "a `table` with patients; may be repeated; without it, all that the study may read")
	f.Func("share", "the `share` of the study's whole budget that all tables together may cost (default 0.02)", above0(&req.Share))
	f.BoolVar(&req.Again, "again", false, "take new profiles of tables that have one")
	return c
}

func (a *queryCommand) profile(ctx context.Context, req httpapi.ProfileRequest, out io.Writer) error {
	response, err := a.send(ctx, "POST", "/v1/profile", "application/json", req)
	if err != nil {
		return a.explain(ctx, err)
	}
	defer response.Body.Close()
	var p httpapi.Profiles
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
		return a.explain(ctx, err)
	}
	for _, line := range p.Lines {
		fmt.Fprintln(out, printable(line))
	}
	return nil
}

// above0 parses a number above 0. To get the default, the flag must be left out.
func above0(to *float64) func(string) error {
	return func(text string) error {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0) || math.IsInf(x, 0) {
			return errors.New("give a number above 0")
		}
		*to = x
		return nil
	}
}
