package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// webhook posts messages to an address.
type webhook struct {
	url    string
	secret []byte
	client *http.Client
}

func openWebhook(c Webhook) (*webhook, error) {
	secret, err := c.Secret.Read("")
	if err != nil {
		return nil, fmt.Errorf("`secret`: %w", err)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("`secret` is shorter than %d characters; make one with: openssl rand -hex 32", minSecret)
	}
	trusted, err := roots(c.CA)
	if err != nil {
		return nil, fmt.Errorf("`ca`: %w", err)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	t.DisableKeepAlives = true                                                            // one message an hour
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the message is for this address only
	return &webhook{url: c.URL, secret: secret, client: &http.Client{Transport: t, CheckRedirect: stay, Timeout: sendTime}}, nil
}

func (w *webhook) name() string { return "webhook" }

// post is the body of a message.
type post struct {
	Daemon string  `json:"daemon"`
	Events []Event `json:"events"`
}

func (w *webhook) send(ctx context.Context, daemon string, events []Event) error {
	body, err := json.Marshal(post{daemon, events})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	// The same events have the same id, so that a receiver recognises a repeated message.
	sum := sha256.New()
	for _, e := range events {
		fmt.Fprintf(sum, "%s\x00%s\x00", daemon, e.Key)
	}
	id, now := "msg_"+hex.EncodeToString(sum.Sum(nil)[:16]), strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "intramuros")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", now)
	r.Header.Set("webhook-signature", "v1,"+signature(w.secret, id, now, body))
	response, err := w.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

// signature is that of Standard Webhooks 1.0.
func signature(secret []byte, id, timestamp string, body []byte) string {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(id + "." + timestamp + "."))
	m.Write(body)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}
