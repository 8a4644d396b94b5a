package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/intramuros/intramuros/internal/sqltoken"
)

func newShellCommand() *cobra.Command {
	var a queryCommand
	c := &cobra.Command{
		Use:   "shell",
		Short: "Ask a federation one question after the other",
		Long: `Ask a federation one question after the other. A statement may take several lines and
ends with a semicolon; a line that begins with a backslash is a command of the shell:

` + indent(commandHelp()) + `

The Tab key completes tables, columns, keywords and functions from the federation's
catalog. Ctrl-C cancels a query at the hospitals too (what was charged by then stays
charged), and a second one leaves. The history is kept in the file "history" below
$XDG_STATE_HOME/intramuros, or ~/.local/state/intramuros.

Where standard input is no terminal, its statements and commands are run one after the
other, up to the first that is refused. Without --study, your only study is taken.
` + envHelp,
		Example: `  intramuros shell --study diabetes-2027
  intramuros shell < questions.sql > answers.txt`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if a.server == "" {
				return usageError{errNoServer}
			}
			if err := a.buildRequest(); err != nil {
				return err
			}
			return runShell(c.Context(), &a, c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	a.flags(c)
	return c
}

// runShell runs statements from in until it ends, or until a command ends the shell.
func runShell(ctx context.Context, a *queryCommand, in io.Reader, out, messages io.Writer) (err error) {
	// From here on Ctrl-C cancels a query, and does not end the process. ctx still ends with SIGTERM.
	signal.Reset(os.Interrupt)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	s := &shellSession{queryCommand: *a, out: out, messages: messages, screen: out, colours: newPalette(out), columns: func() int { return columns(out) }, interrupts: interrupts}
	s.palette = newPalette(messages)
	defer func() { err = errors.Join(err, s.closeFile()) }()
	interactive := isTerminal(in) && isTerminal(out)
	if err := s.begin(ctx, interactive); err != nil {
		return err
	}
	if interactive {
		return s.interact(ctx)
	}
	return s.script(ctx, in)
}

// script runs the statements of a file or a pipe, up to the first error.
func (s *shellSession) script(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch err := s.line(ctx, lines.Text()); {
		case errors.Is(err, errLeave):
			return nil
		case err != nil:
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the input cannot be read: %w", err)
	}
	return s.rest(ctx)
}

// interact runs the statements that a person types.
func (s *shellSession) interact(ctx context.Context) error {
	editor := liner.NewLiner()
	defer editor.Close()
	editor.SetCtrlCAborts(true)
	editor.SetMultiLineMode(true)
	editor.SetTabCompletionStyle(liner.TabPrints)
	editor.SetWordCompleter(func(line string, at int) (string, []string, string) {
		runes := []rune(line)
		return s.complete(string(runes[:at]), string(runes[at:]))
	})
	history := historyFile()
	if f, err := os.Open(history); err == nil {
		_, _ = editor.ReadHistory(f) // lines that cannot be read are ignored
		f.Close()
	}
	defer func() {
		if err := keepHistory(history, editor); err != nil {
			fmt.Fprintf(s.messages, "the history is not kept: %v\n", err)
		}
	}()
	typed := ""      // the statement so far
	leaving := false // Ctrl-C at an empty prompt: a second one leaves
	for ctx.Err() == nil {
		line, err := editor.Prompt(s.prompt())
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
			if leaving && s.buffer == "" {
				return nil
			}
			leaving = s.buffer == ""
			s.buffer = ""
			if leaving {
				fmt.Fprintln(s.messages, `\q, Ctrl-D or Ctrl-C again leaves`)
			}
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(s.out)
			return nil
		case err != nil:
			return err
		}
		leaving = false
		if s.buffer == "" {
			typed = ""
		}
		typed += line + "\n"
		err = s.line(ctx, line)
		if s.buffer == "" {
			for _, line := range remembered(typed) {
				editor.AppendHistory(line)
			}
		}
		switch {
		case errors.Is(err, errLeave):
			return nil
		case err != nil:
			fmt.Fprintln(s.messages, err)
		}
	}
	return nil
}

// remembered returns the history entries of what was typed: one line, to be recalled whole, if that means the same.
func remembered(typed string) []string {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return nil
	}
	var line strings.Builder
	end := 0
	for _, t := range sqltoken.Tokens(typed) {
		gap := typed[end:t.Start]
		comment := strings.Contains(gap, "--")
		if text := typed[t.Start:t.End]; strings.Contains(text, "\n") || comment && strings.Contains(gap, "/*") {
			return strings.Split(typed, "\n")
		}
		switch {
		case comment:
			gap = " "
		case strings.Contains(gap, "\n"):
			gap = strings.Join(strings.Fields(gap), " ")
			gap = " " + gap + strings.Repeat(" ", min(len(gap), 1))
		}
		line.WriteString(gap + typed[t.Start:t.End])
		end = t.End
	}
	if rest := strings.TrimSpace(typed[end:]); rest != "" { // a comment at the end
		return strings.Split(typed, "\n")
	}
	return []string{strings.TrimSpace(line.String())}
}

func columns(out io.Writer) int {
	if f, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// historyFile is the path of the history, or "" if there is no home folder.
func historyFile() string {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "intramuros", "history")
}

// keepHistory writes the history, readable by this user alone, because questions reveal something about people too.
func keepHistory(path string, editor *liner.State) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = editor.WriteHistory(f)
	return errors.Join(err, f.Close())
}
