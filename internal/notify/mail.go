package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/intramuros/intramuros/internal/config"
)

// mailer sends mail by SMTP over TLS.
type mailer struct {
	Mail
	language Language
	host     string
	port     int
	password string
	tls      *tls.Config
}

func openMail(c Mail, l Language) (*mailer, error) {
	m := &mailer{Mail: c, language: l}
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, err
	}
	m.host = host
	if m.port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("`server`: %w", err)
	}
	trusted, err := roots(c.CA)
	if err != nil {
		return nil, fmt.Errorf("`ca`: %w", err)
	}
	m.tls = &tls.Config{ServerName: host, RootCAs: trusted, MinVersion: tls.VersionTLS12}
	if c.Password != (config.Secret{}) {
		secret, err := c.Password.Read("")
		if err != nil {
			return nil, fmt.Errorf("`password`: %w", err)
		}
		m.password = string(secret)
	}
	return m, nil
}

// roots are the authorities in a PEM file; nil without a file, which means the system's.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

func (m *mailer) name() string { return "mail" }

func (m *mailer) send(ctx context.Context, daemon string, events []Event) error {
	options := []mail.Option{
		mail.WithPort(m.port), mail.WithTLSConfig(m.tls), mail.WithTimeout(sendTime), mail.WithoutNoop(),
		// A silent server must not keep the daemon from stopping.
		mail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := m.dial(dialing, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { conn.Close() })
			}
			return conn, err
		}),
	}
	if m.TLS == alwaysTLS {
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic)) // the connection uses TLS already
	} else {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(m.password))
	}
	client, err := mail.NewClient(m.host, options...)
	if err != nil {
		return err
	}
	message, err := m.message(daemon, events)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, message)
}

func (m *mailer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if m.TLS == alwaysTLS {
		return (&tls.Dialer{Config: m.tls}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (m *mailer) message(daemon string, events []Event) (*mail.Msg, error) {
	message := mail.NewMsg()
	if err := message.From(m.From); err != nil {
		return nil, err
	}
	if err := message.To(m.To...); err != nil {
		return nil, err
	}
	subject := fmt.Sprintf("[%s] %s", daemon, events[0].Subject)
	if len(events) > 1 {
		subject += m.language.Say(" (and %d more)", " (et %d de plus)", len(events)-1)
	}
	var body strings.Builder
	for _, e := range events {
		fmt.Fprintf(&body, "%s\n\n%s\n\n", e.Subject, e.Text)
	}
	body.WriteString(m.language.Say("-- \nIntramuros, %s. No value of a patient is ever in such a message.\n",
		"-- \nIntramuros, %s. Un tel message ne contient jamais de donnée d’un patient.\n", daemon))
	message.Subject(subject)
	message.SetDate()
	message.SetMessageID()
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	message.SetBodyString(mail.TypeTextPlain, body.String())
	return message, nil
}
