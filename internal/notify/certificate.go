package notify

import (
	"fmt"
	"time"

	"github.com/intramuros/intramuros/internal/pki"
)

// CertificateNotice is about a certificate that ends soon, or has ended.
func CertificateNotice(t pki.Term, now time.Time) Event {
	e := Event{Key: fmt.Sprintf("certificate/%s/%s", t.What, t.Ends.UTC().Format(time.RFC3339)), Kind: Certificate,
		Subject: fmt.Sprintf("The certificate %s ends on %s", t.File, t.Ends.UTC().Format(time.DateOnly)),
		Text:    "Have it issued anew and put the file in place; it is taken without a restart (docs/operations.md, Keys and certificates)."}
	if t.Over(now) {
		e.Key += "/over"
		e.Subject = fmt.Sprintf("The certificate %s has ended", t.File)
		e.Text = "Nothing that depends on it works until a new one is in place. " + e.Text
	}
	return e
}
