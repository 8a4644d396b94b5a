package notify

import (
	"fmt"
	"time"

	"github.com/intramuros/intramuros/internal/pki"
)

// CertificateNotice is the event for a certificate that ends soon, or has ended.
func (l Language) CertificateNotice(t pki.Term, now time.Time) Event {
	e := Event{Key: fmt.Sprintf("certificate/%s/%s", t.What, t.Ends.UTC().Format(time.RFC3339)), Kind: Certificate,
		Subject: l.Say("The certificate %s ends on %s", "Le certificat %s expire le %s", t.File, t.Ends.UTC().Format(time.DateOnly)),
		Text: l.Say("Have it issued anew and put the file in place; it is taken without a restart (docs/operations.md, Keys and certificates).",
			"Faites-le renouveler et mettez le fichier en place ; il est pris sans redémarrage (docs/operations.md, Keys and certificates)."),
	}
	if t.Over(now) {
		e.Key += "/over"
		e.Subject = l.Say("The certificate %s has ended", "Le certificat %s a expiré", t.File)
		e.Text = l.Say("Nothing that depends on it works until a new one is in place. ", "Rien de ce qui en dépend ne fonctionne avant qu’un nouveau soit en place. ") + e.Text
	}
	return e
}
