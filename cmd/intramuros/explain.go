package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/httpapi"
)

func newExplainCommand() *cobra.Command {
	var a queryCommand
	format := "text"
	c := &cobra.Command{
		Use:   `explain [flags] "SQL"`,
		Short: "Tell what a query would do and cost, spending nothing",
		Long: `Tell what a query would do and cost, spending nothing: the plan, the cost in epsilon
and delta beside what is left of the study's budget, the error to expect of every
column, the SQL that each hospital's engine would run, and which hospitals would
not answer as it is now.

With - instead of SQL, it is read from standard input, with --file from a file.
` + envHelp,
		Example: `  intramuros explain --server https://query.example.org:8443 --ca ca.pem --token-file token \
      --study diabetes-2027 "SELECT year_of_birth, COUNT(*) FROM person GROUP BY 1"`,
		Args: a.needSQL,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.read(args, c.InOrStdin()); err != nil {
				return err
			}
			a.palette = newPalette(c.ErrOrStderr())
			return a.explainQuery(c.Context(), format, c.OutOrStdout())
		},
	}
	a.flags(c)
	a.fileFlag(c)
	c.Flags().StringVar(&format, "format", format, "`form`: text or json")
	complete(c, "format", "text", "json")
	return c
}

func (a *queryCommand) explainQuery(ctx context.Context, format string, out io.Writer) error {
	if format != "text" && format != "json" {
		return usageError{fmt.Errorf("there is no format %q; give text or json", format)}
	}
	response, err := a.send(ctx, "POST", "/v1/explain", "application/json", a.request)
	if err != nil {
		return a.explain(ctx, err)
	}
	defer response.Body.Close()
	if format == "json" {
		_, err := io.Copy(out, response.Body)
		return a.explain(ctx, err)
	}
	var e httpapi.Explanation
	if err := json.NewDecoder(response.Body).Decode(&e); err != nil {
		return a.explain(ctx, err)
	}
	_, err = io.WriteString(out, explanationText(a.request.Study, e))
	return err
}

func explanationText(study string, e httpapi.Explanation) string {
	var b strings.Builder
	section := func(title string) { fmt.Fprintf(&b, "\n%s\n", title) }
	b.WriteString("plan\n")
	fmt.Fprintln(&b, indent(strings.TrimRight(e.Plan, "\n")))
	section("cost")
	switch {
	case e.Public:
		b.WriteString("  nothing: public tables only\n")
	case e.Stored:
		b.WriteString("  nothing: the answer is there already\n")
	case !e.Allowed:
		fmt.Fprintf(&b, "  %s, which is more than is left\n", lossText(e.Cost))
	default:
		fmt.Fprintf(&b, "  %s\n", lossText(e.Cost))
	}
	if e.MinEpsilon > 0 { // an older coordinator does not tell it
		fmt.Fprintf(&b, "  the least that a release costs in this study is epsilon %s\n", short(e.MinEpsilon))
	}
	fmt.Fprintf(&b, "  %s\n", remainingText(study, e.Remaining))
	if e.Researcher != nil {
		fmt.Fprintf(&b, "  %s\n", leftText("your own budget over all studies", e.Researcher.Remaining))
	}
	if len(e.Expected) > 0 {
		section(fmt.Sprintf("expected error, with %s %% confidence", short(100*e.Confidence)))
		for _, x := range e.Expected {
			text := x.Note
			if x.HalfWidth != nil {
				text = strings.TrimSpace("± " + short(*x.HalfWidth) + "  " + x.Note)
			}
			fmt.Fprintf(&b, "  %s: %s\n", printable(x.Column), text)
		}
	}
	for _, s := range e.SQL {
		section(fmt.Sprintf("%s at %s", s.Engine, strings.Join(s.Hospitals, ", ")))
		fmt.Fprintln(&b, indent(strings.TrimRight(s.SQL, "\n")))
	}
	if len(e.Keys) > 0 {
		section("sealed: keys of the hospitals that mask")
		for _, k := range e.Keys {
			fmt.Fprintf(&b, "  %s\n", printable(k.Told()))
		}
		fmt.Fprintf(&b, "  %s\n", coordinator.KeysNote)
	}
	said := slices.DeleteFunc(slices.Clone(e.Warnings), func(w string) bool { return strings.Contains(e.Plan, w) })
	if len(said) > 0 {
		section("mind")
		for _, w := range said {
			fmt.Fprintf(&b, "  %s\n", printable(w))
		}
	}
	if len(e.Problems) > 0 {
		section("would not answer")
		for _, p := range e.Problems {
			fmt.Fprintf(&b, "  %s %s (%s)\n", p.Name, p.Why, p.Code)
		}
	}
	return b.String()
}
