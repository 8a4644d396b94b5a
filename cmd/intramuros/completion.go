package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newCompletionCommand() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  (*cobra.Command).GenZshCompletion,
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that teaches your shell this command's words",
		Long: `Print a script by which the Tab key of your shell completes this command's subcommands,
flags and their values. The examples install it for good.`,
		Example: `  intramuros completion bash > ~/.local/share/bash-completion/completions/intramuros
  intramuros completion zsh  > "${fpath[1]}/_intramuros"
  intramuros completion fish > ~/.config/fish/completions/intramuros.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			write, ok := shells[args[0]]
			if !ok {
				return usageError{fmt.Errorf("there is no script for %q; give bash, zsh or fish", args[0])}
			}
			return write(c.Root(), c.OutOrStdout())
		},
	}
}

// complete tells the shell which values a flag takes.
func complete(c *cobra.Command, flag string, values ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag does not exist
	}
}
