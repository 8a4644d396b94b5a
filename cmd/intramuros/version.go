package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/telemetry"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go release",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			b, commit := telemetry.Running(), ""
			if b.Commit != "" {
				commit = " commit " + b.Commit
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "intramuros %s%s %s %s/%s\n", b.Version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
