package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/study"
)

// notices are the messages that this hospital's custodians should get now. They come from studies, the policy,
// certificates and the ledger's counts.
func (n *Node) notices(ctx context.Context) ([]notify.Event, error) {
	s, now, l := n.service, n.service.now(), n.config.Notify.Language
	var all []notify.Event
	for _, x := range s.studies.All() {
		if x.Status == study.Ended {
			continue
		}
		all = append(all, studyNotices(&x, s.limits.FailuresAllowed, l)...)
		if x.Approved == nil || !now.Before(x.Approved.Expires) {
			continue
		}
		spent, err := s.spent(ctx, scopeStudy(x.ID), x.Approved.Budget)
		if err != nil {
			return nil, err
		}
		all = append(all, l.BudgetNotices(x.ID, spent, x.Approved.Budget)...)
	}
	spent, err := s.spent(ctx, scopeNode, s.budget)
	if err != nil {
		return nil, err
	}
	all = append(all, l.BudgetNotices("", spent, s.budget)...)
	if h := s.suspension.state(); h.On {
		all = append(all, notify.Event{Key: "stop/" + h.Since.Format(time.RFC3339), Kind: notify.Suspension,
			Subject: l.Say("The hospital is stopped", "L’hôpital est arrêté"),
			Text: l.Say("Since %s no query is answered. The custodian's page, or the ledger, says by whom and why; Answer again, there, ends it.",
				"Depuis le %s aucune requête n’obtient de réponse. La page du responsable, ou le registre, dit par qui et pourquoi ; Répondre de nouveau, sur cette page, y met fin.",
				h.Since.Format(time.RFC3339))})
	}
	for _, t := range n.config.terms() {
		if t.Soon(now) {
			all = append(all, l.CertificateNotice(t, now))
		}
	}
	return all, nil
}

// studyNotices are the messages about one study.
func studyNotices(x *study.Study, allowed int, l notify.Language) (all []notify.Event) {
	tell := func(kind notify.Kind, key, subject, text string) {
		all = append(all, notify.Event{Key: key, Kind: kind, Study: x.ID, Subject: subject, Text: text})
	}
	if p := x.Proposal; p != nil && (x.Approved == nil || p.Version > x.Approved.Version) {
		tell(notify.Proposal, fmt.Sprintf("proposal/%s/%d", x.ID, p.Version),
			l.Say("Version %d of the study %s waits for your decision", "La version %d de l’étude %s attend votre décision", p.Version, x.ID), offered(x, l))
	}
	if p := x.Pending; p != nil {
		act := l.Say("approve it", "l’approuver")
		if p.Act == study.Resume {
			act = l.Say("resume it", "la reprendre")
		}
		tell(notify.Proposal, fmt.Sprintf("signature/%s/%d", x.ID, x.Acts),
			l.Say("The study %s lacks %d more signatures", "Il manque à l’étude %s %d signatures de plus", x.ID, p.Missing),
			l.Say("%s signed to %s. It opens nothing before as many custodians as the policy requires have signed the same:\nSign as well in the custodian's page, or: intramuros study cosign %s",
				"%s a signé pour %s. Cela n’ouvre rien avant que tous les responsables que la politique exige aient signé la même chose :\nSignez aussi sur la page du responsable, ou : intramuros study cosign %s",
				strings.Join(p.By, ", "), act, x.ID))
	}
	if x.Failures > 0 && !x.Failed {
		tell(notify.Failure, fmt.Sprintf("failure/%s/%d/%d", x.ID, x.Approval, x.Failures),
			l.Say("%d of %d failures of the study %s", "%d échecs sur %d de l’étude %s", x.Failures, allowed, x.ID),
			l.Say("So many of its queries failed after they were charged, of as many as may before it is suspended here. Why: intramuros ledger show --kind failure, and the node's log.",
				"Autant de ses requêtes ont échoué après leur débit, sur celles qui le peuvent avant qu’elle soit suspendue ici. Pourquoi : intramuros ledger show --kind failure, et le journal du nœud."))
	}
	if x.Status == study.Suspended && x.Approved != nil {
		tell(notify.Suspension, fmt.Sprintf("suspended/%s/%d/%v", x.ID, x.Acts, x.Failed),
			l.Say("The study %s is suspended here", "L’étude %s est suspendue ici", x.ID), suspended(x, l))
	}
	return all
}

// offered says what is proposed, and how to decide.
func offered(x *study.Study, l notify.Language) string {
	p := x.Proposal
	var what string
	if l != notify.French {
		what = x.Offer().Sentence()
	} else {
		what = fmt.Sprintf("epsilon %s et delta %s en tout (%s), %s au plus pour une requête, jusqu’au %s, pour %s. Base légale : %s.", l.Number(p.Budget.Epsilon), l.Number(p.Budget.Delta),
			p.Budget.Accounting, l.Number(p.MaxEpsilon), p.Expires.UTC().Format(time.DateOnly), strings.Join(p.Investigators, ", "), p.LegalBasis)
		if p.Sealed {
			what += " Les nombres partent scellés."
		}
	}
	return l.Say("%q is proposed: %s\nLook at it and decide in the custodian's page, or with: intramuros study show %s",
		"« %s » est proposée : %s\nRegardez-la et décidez sur la page du responsable, ou avec : intramuros study show %s", p.Title, what, x.ID)
}

// suspended says why a study is suspended, and how to open it again.
func suspended(x *study.Study, l notify.Language) string {
	why := l.Say("A custodian suspended it, or more signatures are required than opened it.",
		"Un responsable l’a suspendue, ou il faut plus de signatures que celles qui l’ont ouverte.")
	if x.Failed {
		why = l.Say("%d of its queries failed after they were charged: for want of memory, disk or time, or because a line broke. Look why, mend it, and resume the study.",
			"%d de ses requêtes ont échoué après leur débit : faute de mémoire, de disque ou de temps, ou parce qu’une ligne a été coupée. Cherchez pourquoi, réparez, et reprenez l’étude.", x.Failures)
	}
	return why + l.Say("\nTo open it again as it held: Resume in the custodian's page, or: intramuros study resume %s",
		"\nPour la rouvrir telle qu’elle valait : Reprendre sur la page du responsable, ou : intramuros study resume %s", x.ID)
}

// spent is the share of a budget that is charged. Reservations do not count, because they may be given back.
func (s *service) spent(ctx context.Context, scope string, b dp.Budget) (float64, error) {
	charged, _, err := s.ledger.Spent(ctx, scope)
	if err != nil {
		return 0, err
	}
	return b.Remaining(charged).Spent, nil
}
