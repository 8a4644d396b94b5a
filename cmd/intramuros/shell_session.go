package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner/syntax"
)

// errLeave ends a shell.
var errLeave = errors.New("leave")

// shellSession is the state of a shell: its settings, its unfinished input and its last answer.
type shellSession struct {
	queryCommand
	settings   coordinator.Settings
	out        io.Writer // where answers are written: the screen, or the file of \o
	screen     io.Writer
	messages   io.Writer
	file       *os.File
	colours    palette    // for the screen
	columns    func() int // of the terminal
	interrupts <-chan os.Signal

	buffer  string // the statement so far
	asked   string // the last statement
	last    *httpapi.Answer
	timing  bool
	catalog *httpapi.Catalog
}

// begin asks the coordinator who the researcher is, which study pays, and which tables there are.
func (s *shellSession) begin(ctx context.Context, greet bool) error {
	s.settings = s.request.Settings
	var me httpapi.Me
	if err := s.get(ctx, "/v1/me", &me); err != nil {
		return err
	}
	if s.settings.Study == "" {
		switch len(me.Studies) {
		case 0:
			return errors.New("you take part in no study; ask the federation")
		case 1:
			s.settings.Study = me.Studies[0]
		default:
			return usageError{fmt.Errorf("you take part in several studies: %s; give --study", strings.Join(me.Studies, ", "))}
		}
	}
	if !greet {
		return nil
	}
	s.catalog = &httpapi.Catalog{}
	if err := s.get(ctx, "/v1/catalog", s.catalog); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s at %s, study %s. A statement ends with ; and \\? tells the commands.\n", me.Researcher, me.Federation, s.settings.Study)
	return nil
}

func (s *shellSession) prompt() string {
	if s.buffer == "" {
		return s.settings.Study + "=> "
	}
	return s.settings.Study + "-> "
}

// line handles a line of input: a command, or a part of a statement. errLeave ends the shell. Any other error ends the
// statement or the command.
func (s *shellSession) line(ctx context.Context, line string) error {
	if s.buffer == "" && strings.HasPrefix(strings.TrimSpace(line), `\`) {
		return s.run(ctx, func(ctx context.Context) error { return s.command(ctx, strings.TrimSpace(line)) })
	}
	s.buffer += line + "\n"
	for {
		at := slices.IndexFunc(sqltoken.Tokens(s.buffer), func(t sqltoken.Token) bool { return t.Is(";") })
		if at < 0 {
			break
		}
		end := sqltoken.Tokens(s.buffer)[at].Start
		statement := strings.TrimSpace(s.buffer[:end])
		s.buffer = strings.TrimLeft(s.buffer[end+1:], " \t\n")
		if err := s.statement(ctx, statement); err != nil {
			s.buffer = ""
			return err
		}
	}
	if len(sqltoken.Tokens(s.buffer)) == 0 {
		s.buffer = "" // only comments and blanks
	}
	return nil
}

// rest runs the end of the input if it has no semicolon.
func (s *shellSession) rest(ctx context.Context) error {
	statement := strings.TrimSpace(s.buffer)
	s.buffer = ""
	return s.statement(ctx, statement)
}

func (s *shellSession) statement(ctx context.Context, sql string) error {
	if len(sqltoken.Tokens(sql)) == 0 {
		return nil
	}
	if read, err := syntax.Parse(sql); err == nil && read.Kind == syntax.KindSet {
		return s.settings.Replace(read.Name, read.Value.String())
	}
	s.asked = sql
	return s.run(ctx, func(ctx context.Context) error { return s.ask(ctx, sql) })
}

// run makes Ctrl-C cancel what runs, and a second Ctrl-C end the shell.
func (s *shellSession) run(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := time.Now()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	for {
		select {
		case err := <-done:
			if s.timing && err == nil {
				fmt.Fprintf(s.screen, "Time: %.3f s\n", time.Since(started).Seconds())
			}
			return err
		case <-s.interrupts:
			if ctx.Err() != nil {
				return errLeave
			}
			fmt.Fprintln(s.messages, "\ncanceling at the hospitals; Ctrl-C again leaves")
			cancel()
		}
	}
}

// under returns a request with the shell's settings.
func (s *shellSession) under(sql string) *queryCommand {
	a := s.queryCommand
	a.request.SQL, a.request.Settings = sql, s.settings
	return &a
}

func (s *shellSession) ask(ctx context.Context, sql string) error {
	a := s.under(sql)
	answer, err := a.answer(ctx, s.messages)
	if err != nil {
		return err
	}
	s.last = answer
	if err := writeTable(s.out, answer); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out)
	return err
}

// get reads the API's answer at a path.
func (s *shellSession) get(ctx context.Context, path string, into any) error {
	response, err := s.send(ctx, "GET", path, "application/json", nil)
	if err != nil {
		return s.explain(ctx, err)
	}
	defer response.Body.Close()
	return s.explain(ctx, json.NewDecoder(response.Body).Decode(into))
}

// command is a command of the shell.
type command struct {
	name, arguments, what string
	run                   func(s *shellSession, ctx context.Context, argument string) error
}

// commands lists all commands, as \? shows them.
func commands() []command {
	return []command{
		{`\d`, "[TABLE]", "tables, or the columns of one", (*shellSession).describe},
		{`\budget`, "", "what is left of the study, and of your own budget", (*shellSession).budget},
		{`\explain`, "[SQL]", "what a query would do and cost; without SQL, the last one", (*shellSession).plan},
		{`\chart`, "[bar|line] [COLUMN]", "the last answer as a chart, with its intervals", (*shellSession).chart},
		{`\set`, "[NAME [VALUE]]", "the settings, or one of them; without VALUE its default again", (*shellSession).change},
		{`\o`, "[FILE]", "answers go to a file; without FILE, to the screen again", (*shellSession).redirect},
		{`\timing`, "", "tell how long each statement takes, or no longer", (*shellSession).time},
		{`\?`, "", "this list", (*shellSession).help},
		{`\q`, "", "leave", func(*shellSession, context.Context, string) error { return errLeave }},
	}
}

func commandHelp() string {
	var b strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&b, "%-28s %s\n", strings.TrimSpace(c.name+" "+c.arguments), c.what)
	}
	return strings.TrimRight(b.String(), "\n")
}

func (s *shellSession) command(ctx context.Context, line string) error {
	name, argument, _ := strings.Cut(strings.TrimRight(line, "; \t"), " ")
	for _, c := range commands() {
		if c.name == name {
			return c.run(s, ctx, strings.TrimSpace(argument))
		}
	}
	return fmt.Errorf(`there is no command %s; \? lists them`, printable(name))
}

func (s *shellSession) help(context.Context, string) error {
	_, err := fmt.Fprintln(s.screen, commandHelp())
	return err
}

func (s *shellSession) describe(ctx context.Context, table string) error {
	if table == "" {
		return s.ask(ctx, "SHOW TABLES")
	}
	return s.ask(ctx, "DESCRIBE "+table)
}

func (s *shellSession) budget(ctx context.Context, _ string) error {
	var b httpapi.Budget
	if err := s.get(ctx, "/v1/budget?study="+url.QueryEscape(s.settings.Study), &b); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s\n", remainingText(b.Study, b.Remaining))
	fmt.Fprintf(s.out, "%s  %s\n", gauge(1-b.Remaining.Fraction), lossText(httpapi.Cost{Epsilon: b.Budget.Epsilon, Delta: b.Budget.Delta})+" in all, by "+string(b.Budget.Accounting)+" accounting")
	if b.Researcher != nil {
		fmt.Fprintf(s.out, "%s\n", leftText("your own budget over all studies", b.Researcher.Remaining))
	}
	least := ""
	if b.MinEpsilon > 0 { // an older coordinator does not tell it
		least = ", and a release costs at least " + short(b.MinEpsilon)
	}
	if b.Sealed {
		fmt.Fprintln(s.out, "sealed: each hospital adds its own noise before its numbers leave it")
	}
	_, err := fmt.Fprintf(s.out, "one query may cost epsilon %s%s; the study ends on %s\n", short(b.MaxEpsilon), least, b.Expires)
	return err
}

// gauge draws a share from 0 to 1.
func gauge(share float64) string {
	const room = 30
	full := int(max(0, min(1, share))*room + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", room-full)
}

func (s *shellSession) plan(ctx context.Context, sql string) error {
	if sql == "" {
		sql = s.asked
	}
	if sql == "" {
		return errors.New(`nothing was asked yet; give SQL: \explain SELECT …`)
	}
	if err := s.under(sql).explainQuery(ctx, "text", s.out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out)
	return err
}

func (s *shellSession) chart(_ context.Context, argument string) error {
	if s.last == nil {
		return errors.New("nothing was answered yet")
	}
	c := chart{width: s.columns(), palette: s.colours}
	if s.file != nil {
		c.palette = palette{}
	}
	for _, word := range strings.Fields(argument) {
		switch {
		case c.kind == "" && c.column == "" && (word == "bar" || word == "line"):
			c.kind = word
		case c.column == "":
			c.column = word
		default:
			return errors.New(`\chart takes bar or line, and one column`)
		}
	}
	drawn, err := c.draw(s.last)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.out, drawn)
	return err
}

func (s *shellSession) change(_ context.Context, argument string) error {
	name, text, _ := strings.Cut(argument, " ")
	if name == "" {
		for _, n := range coordinator.SettingNames() {
			value := s.settings.Get(n)
			if value == "" {
				value = "(default)"
			}
			fmt.Fprintf(s.screen, "%-12s %s\n", n, value)
		}
		return nil
	}
	return s.settings.Replace(name, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "=")))
}

func (s *shellSession) redirect(_ context.Context, path string) error {
	err := s.closeFile()
	if path == "" || err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	s.file, s.out = f, f
	return nil
}

func (s *shellSession) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file, s.out = nil, s.screen
	return err
}

func (s *shellSession) time(context.Context, string) error {
	s.timing = !s.timing
	_, err := fmt.Fprintf(s.screen, "Timing is %s.\n", map[bool]string{true: "on", false: "off"}[s.timing])
	return err
}
