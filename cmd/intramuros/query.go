package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// queryCommand holds the flags that query and explain share.
type queryCommand struct {
	client
	request    httpapi.Request
	parameters map[string]string
	file       string  // holds the SQL
	palette    palette // of messages
}

// serverFlags adds the flags that name the coordinator and the study that pays.
func (a *queryCommand) serverFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.server, "server", os.Getenv("INTRAMUROS_SERVER"), "`URL` of the coordinator, such as https://query.example.org:8443 (INTRAMUROS_SERVER)")
	f.StringVar(&a.ca, "ca", os.Getenv("INTRAMUROS_CA"), "PEM `file` of the federation's authority; without it, the system's (INTRAMUROS_CA)")
	f.StringVar(&a.tokenFile, "token-file", "", "`file` with your token; without it, the environment's INTRAMUROS_TOKEN")
	f.StringVar(&a.request.Study, "study", os.Getenv("INTRAMUROS_STUDY"), "the `study` that pays (INTRAMUROS_STUDY)")
}

func (a *queryCommand) flags(c *cobra.Command) {
	a.serverFlags(c)
	f := c.Flags()
	for _, name := range coordinator.SettingNames() {
		if name != "study" && name != "weights" { // those have flags of their own
			f.Func(strings.ReplaceAll(name, "_", "-"), coordinator.Usage(name), a.setting(name))
		}
	}
	f.StringToIntVar(&a.request.Weights, "weight", nil, "weight of a column of the answer, as `name=4`: more budget for it, less for the others; may be repeated")
	f.StringToStringVar(&a.parameters, "parameter", nil, "value of a parameter of the SQL, as `name=value`, or 1=value for ?; may be repeated")
}

// setting parses a flag into the setting of that name. An error says what to write instead.
func (a *queryCommand) setting(name string) func(string) error {
	return func(text string) error {
		err := a.request.Set(name, text)
		if wrong := new(coordinator.Error); errors.As(err, &wrong) {
			return errors.New(wrong.Hint)
		}
		return err
	}
}

var errNoServer = errors.New("no coordinator is named; give --server or set INTRAMUROS_SERVER")

// buildRequest makes a request of the flags, without its SQL.
func (a *queryCommand) buildRequest() error {
	if a.request.Accuracy != nil && a.request.Epsilon != 0 {
		return usageError{errors.New("--epsilon and --accuracy decide each other; give the one that you care about")}
	}
	if len(a.parameters) > 0 {
		a.request.Parameters = map[string]httpapi.Parameter{}
	}
	for name, text := range a.parameters {
		var p httpapi.Parameter
		if json.Unmarshal([]byte(text), &p) != nil {
			p.Value = value.Text(text) // not a number: a text or a date
		}
		a.request.Parameters[name] = p
	}
	return nil
}

// read reads the SQL from the arguments, from in for "-", or from the file of --file.
func (a *queryCommand) read(args []string, in io.Reader) error {
	if a.server == "" {
		return usageError{errNoServer}
	}
	if a.request.Study == "" {
		return usageError{errors.New("no study is named; give --study or set INTRAMUROS_STUDY")}
	}
	if err := a.buildRequest(); err != nil {
		return err
	}
	if err := a.readSQL(args, in); err != nil {
		return err
	}
	if strings.TrimSpace(a.request.SQL) == "" {
		return usageError{errors.New("there is no SQL to send")}
	}
	return nil
}

func (a *queryCommand) readSQL(args []string, in io.Reader) error {
	a.request.SQL = strings.Join(args, " ")
	if a.file != "" {
		f, err := os.Open(a.file)
		if err != nil {
			return usageError{fmt.Errorf("--file: %w", err)}
		}
		defer f.Close()
		in = f
	} else if a.request.SQL != "-" {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(in, syntax.MaxSQL+1)) // one more, so that a longer text is refused and not cut
	if err != nil {
		return err
	}
	a.request.SQL = strings.TrimRight(string(b), "\n")
	return nil
}

const envHelp = `
Environment: INTRAMUROS_SERVER, INTRAMUROS_CA, INTRAMUROS_STUDY stand for the flags
of these names; INTRAMUROS_TOKEN holds the token itself.

Exit status: 0 answered, 1 refused or failed, 2 wrong use of this command.`

func newQueryCommand() *cobra.Command {
	var a queryCommand
	format := "table"
	c := &cobra.Command{
		Use:   `query [flags] "SQL"`,
		Short: "Ask a federation a question in SQL",
		Long: `Ask a federation a question in SQL, and get a private answer: every number that
depends on patients carries noise, shown as value ± half-width. With the stated
confidence the exact number lies within. Below stand what the answer cost and
what is left of the study's budget. The same question again over the same data
gives the same answer at no cost.

How precise an answer is depends on the epsilon that it costs. Give --epsilon to say
what it may cost, or --accuracy to say how wide the intervals of its counts and sums
may be: the least epsilon that is expected to do is spent. "explain" tells both
beforehand.

With - instead of SQL, it is read from standard input, with --file from a file. Ctrl-C cancels the query at
the hospitals too; what was charged by then stays charged.

Formats: table for people; json, csv (columns x, x_low, x_high) and arrow (an Arrow
IPC stream) for programs. All go to standard output, progress and the warnings and the cost
of csv and arrow to standard error.
` + envHelp,
		Example: `  intramuros query --server https://query.example.org:8443 --ca ca.pem --token-file token \
      --study diabetes-2027 "SELECT gender_concept_id, COUNT(*) FROM person GROUP BY 1"
  intramuros query --format csv - < question.sql > answer.csv`,
		Args: a.needSQL,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.read(args, c.InOrStdin()); err != nil {
				return err
			}
			return a.query(c.Context(), format, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	a.flags(c)
	a.fileFlag(c)
	c.Flags().StringVar(&format, "format", format, "`form` of the answer: table, json, csv or arrow")
	complete(c, "format", "table", "json", "csv", "arrow")
	return c
}

func (a *queryCommand) fileFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.file, "file", "f", "", "`file` with the SQL, in place of the argument")
}

func (a *queryCommand) needSQL(_ *cobra.Command, args []string) error {
	switch {
	case a.file != "" && len(args) > 0:
		return usageError{errors.New("the SQL is in --file and in the arguments; give one")}
	case a.file == "" && len(args) != 1:
		return usageError{fmt.Errorf("give the SQL as one argument in quotes, - to read it from standard input, or --file (%d arguments were given)", len(args))}
	}
	return nil
}

func (a *queryCommand) query(ctx context.Context, format string, out, messages io.Writer) error {
	accept := map[string]string{"table": "application/x-ndjson", "json": "application/json", "csv": "text/csv", "arrow": "application/vnd.apache.arrow.stream"}[format]
	if accept == "" {
		return usageError{fmt.Errorf("there is no format %q; give table, json, csv or arrow", format)}
	}
	a.palette = newPalette(messages)
	if format == "table" {
		answer, err := a.answer(ctx, messages)
		if err != nil {
			return err
		}
		return writeTable(out, answer)
	}
	response, err := a.post(ctx, accept)
	if err != nil {
		return a.explain(ctx, err)
	}
	defer response.Body.Close()
	if format != "json" { // json already contains them
		for _, warning := range response.Header.Values("Intramuros-Warning") {
			fmt.Fprintf(messages, "warning: %s\n", printable(warning))
		}
	}
	_, err = io.Copy(out, response.Body)
	var paid httpapi.Paid
	if format != "json" && json.Unmarshal([]byte(response.Header.Get("Intramuros-Paid")), &paid) == nil {
		fmt.Fprintf(messages, "%s\n%s\n", costText(paid.Stored, paid.Public, paid.Cost), remainingText(paid.Study, paid.Remaining))
	}
	return a.explain(ctx, err)
}

// post requests an answer in a format. The caller closes its body.
func (a *queryCommand) post(ctx context.Context, accept string) (*http.Response, error) {
	response, err := a.send(ctx, "POST", "/v1/query", accept, a.request)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != accept {
		response.Body.Close()
		return nil, fmt.Errorf("the server answered in the form %q; is %s a coordinator?", kind, a.server)
	}
	return response, nil
}

// answer sends the query, and shows progress if messages is a terminal. Its error is a text for a person.
func (a *queryCommand) answer(ctx context.Context, messages io.Writer) (*httpapi.Answer, error) {
	response, err := a.post(ctx, "application/x-ndjson")
	if err != nil {
		return nil, a.explain(ctx, err)
	}
	defer response.Body.Close()
	answer, err := follow(response.Body, newProgressBar(messages))
	return answer, a.explain(ctx, err)
}

// follow reads events until the answer, and shows progress.
func follow(in io.Reader, bar *progressBar) (*httpapi.Answer, error) {
	defer bar.clear()
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the connection ended before the answer; the coordinator may have stopped. The query may have been charged")
		}
		if err != nil {
			return nil, err
		}
		var e httpapi.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("the server's answer is not understood; the versions may differ: %w", err)
		}
		switch {
		case e.Progress != nil:
			bar.show(*e.Progress)
		case e.Answer != nil:
			return e.Answer, nil
		case e.Error != nil:
			return nil, &serverError{*e.Error}
		}
	}
}

// progressBar shows the progress of the hospitals on one line of a terminal, and each failed hospital on a line of its
// own.
type progressBar struct {
	out     io.Writer // nil: no terminal
	states  map[string]httpapi.Progress
	started time.Time
}

func newProgressBar(out io.Writer) *progressBar {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		out = nil
	}
	return &progressBar{out: out, states: map[string]httpapi.Progress{}, started: time.Now()}
}

const eraseLine = "\r\x1b[2K"

func (b *progressBar) show(p httpapi.Progress) {
	if b.out == nil {
		return
	}
	if p.State == "failed" {
		fmt.Fprintf(b.out, "%s%s %s (%s)\n", eraseLine, p.Hospital, p.Why, p.Code)
	}
	b.states[p.Hospital] = p
	counts := map[string]int{}
	for _, s := range b.states {
		counts[string(s.State)]++
	}
	var parts []string
	for _, s := range []string{"prepared", "running", "answered", "failed"} {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	fmt.Fprintf(b.out, "%shospitals: %s (%s %s)", eraseLine, strings.Join(parts, ", "), p.Hospital, p.State)
}

func (b *progressBar) clear() {
	if b.out != nil && len(b.states) > 0 {
		fmt.Fprint(b.out, eraseLine)
	}
}
