// Command intramuros is the only program of the federation: a hospital's node, the coordinator, the researcher's client
// and the custodian's tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/worker"
)

func main() {
	worker.Main(roles)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitFailed is the exit code of a command that failed, or of a check that found something. A wrong command line has
// its own exit code; see usageError.
const exitFailed = 1

// Run executes one command line and returns its exit code. Daemons run until ctx ends.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "intramuros: %v\nSee: %s --help\n", err, command.CommandPath())
		return usage.ExitCode()
	case !errors.Is(err, errShown):
		fmt.Fprintf(stderr, "intramuros: %v\n", err)
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := newGroup("intramuros", "Ask hospitals, not patients: federated SQL under differential privacy", `
Intramuros answers SQL over the data of many hospitals while the data stays in each.
A researcher writes a query once; every hospital computes aggregates on its own
machines; a coordinator combines them and releases only differentially private answers.`)
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"researcher", "For researchers:", []*cobra.Command{newQueryCommand(), newShellCommand(), newExplainCommand(), newProfileCommand(), newLoginCommand(), newDemoCommand()}},
		{"hospital", "For hospitals:", []*cobra.Command{newNodeCommand(), newCatalogCommand(), newStudyCommand(), newLedgerCommand()}},
		{"federation", "For the federation:", []*cobra.Command{newCoordinatorCommand(), newPKICommand(), newSynthCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newVersionCommand(), newCompletionCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// errShown means that the command has already printed what is wrong.
var errShown = errors.New("the check found faults")

// newGroup returns a command that only has subcommands. Without a subcommand it shows its help.
func newGroup(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long[1:],
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			err := fmt.Errorf("there is no command %q", c.CommandPath()+" "+args[0])
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				err = fmt.Errorf("%w; did you mean %q?", err, near[0])
			}
			return usageError{err}
		},
		Args:                       cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2, // cobra sets it only where it looks itself
	}
}

// arguments turns cobra's error about a command's arguments into a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// require makes flags required. The error names the first that is missing.
func require(names ...string) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		for _, name := range names {
			if !c.Flags().Changed(name) {
				return usageError{fmt.Errorf("--%s is needed: %s", name, c.Flags().Lookup(name).Usage)}
			}
		}
		return nil
	}
}
