package postgres

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/lobby"
)

const (
	startTime = 15 * time.Second // to connect and show the token
	sendTime  = time.Minute      // of one flush
	maxBody   = 1 << 20          // bytes of a message
	maxToken  = 64 << 10         // of one before the client has signed in
)

// conn is one client's connection.
type conn struct {
	server *Server
	id     uint32
	secret [4]byte
	ctx    context.Context // ends when the client is gone
	cancel context.CancelFunc
	types  *pgtype.Map

	ahead      *readAhead
	backend    *pgproto3.Backend
	who        coordinator.Researcher
	card       *x509.Certificate // the certificate that the client was shown
	credential credential
	settings   session.Settings
	initial    session.Settings  // the settings at the start, which RESET ALL restores
	variables  map[string]string // other variables that were SET, without meaning here
	inBlock    bool              // between BEGIN and COMMIT
	statements map[string]*statement
	portals    map[string]*portal
	skipping   bool // messages up to Sync, after an error
	guest      *lobby.Guest
	held       int // bytes, guarded by server.holdings
	unsent     int // messages and statements answered since the answers were last sent

	mu      sync.Mutex
	client  net.Conn
	busy    bool               // a message is being answered
	leaving bool               // it leaves after that
	running context.CancelFunc // of the query that runs
	runner  string             // the name of its researcher
}

// stop cancels the running query.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		c.running()
	}
}

// stopOwned is stop, if the query belongs to this person.
func (c *conn) stopOwned(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil || c.runner != name {
		return false
	}
	c.running()
	return true
}

// closeWhenIdle closes the connection once no message is being answered.
func (c *conn) closeWhenIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving = true; !c.busy {
		c.client.Close()
	}
}

func (c *conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client.Close()
}

// work returns a context for a query that can be canceled.
func (c *conn) work() (context.Context, func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	if limit := milliseconds(c.variables["statement_timeout"]); limit > 0 {
		inner := cancel
		var outer context.CancelFunc
		ctx, outer = context.WithTimeout(ctx, limit)
		cancel = func() { outer(); inner() }
	}
	c.mu.Lock()
	c.running, c.runner = cancel, c.who.Name
	c.mu.Unlock()
	return ctx, func() {
		c.mu.Lock()
		c.running = nil
		c.mu.Unlock()
		cancel()
	}
}

// milliseconds reads a time in the form of statement_timeout: a number of milliseconds, or of the unit after it. Text
// that it cannot read is 0, which means no limit.
func milliseconds(text string) time.Duration {
	text = strings.TrimSpace(strings.ToLower(text))
	number := strings.TrimRight(text, "usminhd ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n <= 0 || n > 1e9 {
		return 0
	}
	unit, known := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[strings.TrimSpace(text[len(number):])]
	if !known {
		return 0
	}
	return time.Duration(n * float64(unit))
}

// serve handles the connection from its first byte to its last.
func (c *conn) serve() {
	defer func() {
		if p := recover(); p != nil { // a fault of one client must not end the coordinator
			c.server.log.Error("connection ended by a panic", slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
		}
		c.cancel()
		c.hangUp()
		if c.ahead != nil {
			c.ahead.wait()
		}
	}()
	_ = c.client.SetDeadline(time.Now().Add(startTime))
	start, err := c.secure()
	if err != nil || start == nil {
		return
	}
	if err := c.admit(start); err != nil {
		return
	}
	_ = c.client.SetDeadline(time.Time{})
	c.backend.SetMaxBodyLen(maxBody)
	for {
		m, err := c.backend.Receive()
		if err != nil {
			var tooLong *pgproto3.ExceededMaxBodyLenErr
			if errors.As(err, &tooLong) {
				c.fatal("54000", "a message is longer than 1 MiB", "")
			}
			return
		}
		if !c.begin() {
			c.fatal("57P01", "the coordinator is stopping", "ask again in a moment")
			return
		}
		goOn := c.handle(m)
		if !c.end() || !goOn {
			return
		}
	}
}

// begin records that a message is being answered. It returns false while the server stops.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = !c.leaving
	return c.busy
}

func (c *conn) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return !c.leaving
}

// flush sends the buffered messages.
func (c *conn) flush() error {
	_ = c.client.SetWriteDeadline(time.Now().Add(sendTime))
	c.unsent = 0
	return c.backend.Flush()
}

// flushEvery is the number of answered messages or statements after which the answers are sent, whether the client asks
// for it or not.
const flushEvery = 32

// answered counts one more answered message, and sends the answers if they are many. So answers for a client that reads
// nothing do not pile up in memory.
func (c *conn) answered() error {
	if c.unsent++; c.unsent < flushEvery {
		return nil
	}
	return c.flush()
}

// firstByte of a TLS handshake; a client may begin with it (sslnegotiation=direct).
const firstByte = 0x16

// secure sets up TLS and returns the client's startup message, or nil if the connection is finished.
func (c *conn) secure() (*pgproto3.StartupMessage, error) {
	plain := &peeked{Conn: c.client, in: bufio.NewReader(c.client)}
	first, err := plain.in.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] == firstByte {
		return c.overTLS(plain)
	}
	c.backend = pgproto3.NewBackend(plain, c.client)
	for range 3 { // requests before the start: for GSSAPI, for TLS
		m, err := c.backend.ReceiveStartupMessage()
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.GSSEncRequest:
			if _, err := c.client.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case *pgproto3.SSLRequest:
			if plain.in.Buffered() > 0 { // plain text after the request for TLS may have been injected
				return nil, errors.New("data before TLS")
			}
			if _, err := c.client.Write([]byte{'S'}); err != nil {
				return nil, err
			}
			return c.overTLS(c.client)
		case *pgproto3.CancelRequest:
			c.server.cancel(m.ProcessID, m.SecretKey)
			return nil, nil
		case *pgproto3.StartupMessage:
			c.fatal("28000", "connections without TLS are refused, since they would show your token", "connect with sslmode=verify-full, or at least sslmode=require")
			return nil, errors.New("no TLS")
		}
	}
	return nil, errors.New("no start")
}

func (c *conn) overTLS(plain net.Conn) (*pgproto3.StartupMessage, error) {
	secured := tls.Server(plain, c.rememberCertificate(c.server.tls))
	if err := secured.HandshakeContext(c.ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.client = secured
	c.mu.Unlock()
	c.ahead = newReadAhead(secured, c.cancel)
	c.backend = pgproto3.NewBackend(c.ahead, secured)
	c.backend.SetMaxBodyLen(maxToken)
	m, err := c.backend.ReceiveStartupMessage()
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *pgproto3.StartupMessage:
		return m, nil
	case *pgproto3.CancelRequest:
		c.server.cancel(m.ProcessID, m.SecretKey)
	}
	return nil, nil
}

// peeked is a connection from which bytes were read ahead.
type peeked struct {
	net.Conn
	in *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.in.Read(b) }

// admit authenticates the client and sends the greeting.
func (c *conn) admit(start *pgproto3.StartupMessage) error {
	parameters := make(map[string]string, len(start.Parameters))
	var unknown []string // options of a newer protocol version
	for name, value := range start.Parameters {
		if strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
		}
		parameters[name] = value
	}
	if start.ProtocolVersion != pgproto3.ProtocolVersion30 || len(unknown) > 0 {
		slices.Sort(unknown)
		// PostgreSQL sends the whole version here, although the documentation of the protocol says the minor version.
		c.backend.Send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: pgproto3.ProtocolVersion30, UnrecognizedOptions: unknown})
	}
	who, err := c.identify(parameters["user"])
	var told *coordinator.Error
	switch {
	case errors.As(err, &told):
		return c.refuse(err)
	case err != nil:
		return err
	}
	c.who, c.variables = who, map[string]string{"application_name": parameters["application_name"]}
	c.statements, c.portals, c.types = map[string]*statement{}, map[string]*portal{}, pgtype.NewMap()
	study := parameters["database"]
	if study == "" {
		study = parameters["user"] // PostgreSQL's default database
	}
	if _, err := c.server.admitter.Budget(c.ctx, who, study); err != nil {
		return c.refuse(err)
	}
	if err := c.guest.SignIn(who.Name); err != nil {
		return c.refuse(&stated{coordinator.Crowded(err), stateTooMany})
	}
	c.settings.Study = study
	for name, value := range commandLine(parameters["options"]) {
		if err := c.set(name, value); err != nil {
			return c.refuse(err)
		}
	}
	c.initial = c.settings
	c.backend.Send(&pgproto3.AuthenticationOk{})
	for _, name := range reported {
		c.backend.Send(&pgproto3.ParameterStatus{Name: name, Value: c.show(name)})
	}
	c.backend.Send(&pgproto3.BackendKeyData{ProcessID: c.id, SecretKey: c.secret[:]})
	c.ready()
	return c.flush()
}

// refuse ends the connection with an error.
func (c *conn) refuse(err error) error {
	e := c.explained(err)
	state := e.Code.Protocols().SQLState
	var own *stated
	if errors.As(err, &own) {
		state = own.state
	}
	if e.Code == coordinator.CodeStudyUnknown {
		state = "3D000" // the study is the database
	}
	c.fatal(state, string(e.Code)+": "+e.Message, e.Hint)
	return err
}

// fatal tells the client why the connection ends.
func (c *conn) fatal(state, message, hint string) {
	c.backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: state, Message: message, Hint: hint})
	_ = c.flush() // the client may be gone
}

// commandLine parses -c name=value and --name=value, which libpq sends as options.
func commandLine(options string) map[string]string {
	all := map[string]string{}
	words := strings.Fields(strings.ReplaceAll(options, `\ `, " "))
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-c" && i+1 < len(words):
			i++
			word = words[i]
		case strings.HasPrefix(word, "-c"):
			word = word[2:]
		case strings.HasPrefix(word, "--"):
			word = word[2:]
		default:
			continue
		}
		if name, value, ok := strings.Cut(word, "="); ok {
			all[name] = value
		}
	}
	return all
}

// ready tells the client that the server waits for the next message.
func (c *conn) ready() {
	status := byte('I')
	if c.inBlock {
		status = 'T'
	}
	c.backend.Send(&pgproto3.ReadyForQuery{TxStatus: status})
}

// reported are the variables that are sent to a client at the start.
var reported = []string{
	"server_version", "server_encoding", "client_encoding", "application_name", "default_transaction_read_only", "in_hot_standby", "is_superuser", "session_authorization",
	"DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings",
}

// show returns a setting or variable.
func (c *conn) show(name string) string {
	plain := strings.TrimPrefix(strings.ToLower(name), "intramuros.")
	if session.Known(plain) {
		return c.settings.Get(plain)
	}
	if v, ok := c.variables[plain]; ok {
		return v
	}
	switch plain {
	case "session_authorization":
		return c.who.Name
	case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout":
		return "0"
	}
	return defaults[plain]
}

// defaults are variables that clients ask for.
var defaults = map[string]string{
	"server_version": "15.0", "server_version_num": "150000", "server_encoding": "UTF8", "client_encoding": "UTF8", "default_transaction_read_only": "on",
	"in_hot_standby": "off", "is_superuser": "off", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "timezone": "UTC", "integer_datetimes": "on",
	"standard_conforming_strings": "on", "search_path": "public", "transaction_isolation": "repeatable read", "default_transaction_isolation": "repeatable read",
	"transaction_read_only": "on", "extra_float_digits": "1", "max_identifier_length": "63", "max_index_keys": "32", "lc_collate": "C", "lc_ctype": "C",
	"bytea_output": "hex", "row_security": "off", "ssl": "on", "block_size": "8192", "client_min_messages": "notice", "lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C",
	"wal_level": "minimal", "data_directory": "", "max_connections": strconv.Itoa(lobby.MaxSignedIn), "transaction_deferrable": "off", "jit": "off",
}

// set changes a setting, or a variable that has no meaning here.
func (c *conn) set(name, value string) error {
	plain := strings.ToLower(name)
	if own := strings.TrimPrefix(plain, "intramuros."); session.Known(own) || own != plain {
		return c.settings.Set(own, value)
	}
	if plain == "client_encoding" || plain == "names" {
		if v := strings.ToUpper(strings.ReplaceAll(value, "-", "")); v != "UTF8" && v != "UNICODE" && v != "SQL_ASCII" && v != "DEFAULT" && v != "" {
			return &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: "the encoding is always UTF8"}
		}
		return nil
	}
	const most = 200 // variables, each as long as a message may be
	if _, known := c.variables[plain]; !known && len(c.variables) >= most || len(value) > 1<<10 {
		return &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: "too many variables are set, or one too long"}
	}
	if near, ok := config.Nearest(plain, session.Names); ok && defaults[plain] == "" {
		c.warn(plain + " is no setting, and changes nothing; did you mean " + near + "?")
	}
	if c.variables[plain] = value; value == "" || strings.EqualFold(value, "default") {
		delete(c.variables, plain)
	}
	return nil
}
