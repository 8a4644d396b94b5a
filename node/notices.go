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

// notices are what this hospital's custodians are to be told now. They are made of what studies, the policy, certificates
// and the ledger's counts say.
func (n *Node) notices(ctx context.Context) ([]notify.Event, error) {
	s, now := n.service, n.service.now()
	var all []notify.Event
	for _, x := range s.studies.All() {
		if x.Status == study.Ended {
			continue
		}
		all = append(all, studyNotices(&x, s.limits.FailuresAllowed)...)
		if x.Approved == nil || !now.Before(x.Approved.Expires) {
			continue
		}
		spent, err := s.spent(ctx, scopeStudy(x.ID), x.Approved.Budget)
		if err != nil {
			return nil, err
		}
		all = append(all, notify.BudgetNotices("the study "+x.ID, x.ID, spent, x.Approved.Budget)...)
	}
	spent, err := s.spent(ctx, scopeNode, s.budget)
	if err != nil {
		return nil, err
	}
	all = append(all, notify.BudgetNotices("this hospital, over all studies", "", spent, s.budget)...)
	if h := s.suspension.state(); h.On {
		all = append(all, notify.Event{Key: "stop/" + h.Since.Format(time.RFC3339), Kind: notify.Suspension, Subject: "The hospital is stopped",
			Text: "Since " + h.Since.Format(time.RFC3339) + " no query is answered. The custodian's page, or the ledger, says by whom and why; Answer again, there, ends it."})
	}
	for _, t := range n.config.terms() {
		if t.Soon(now) {
			all = append(all, notify.CertificateNotice(t, now))
		}
	}
	return all, nil
}

// studyNotices are those about one study.
func studyNotices(x *study.Study, allowed int) (all []notify.Event) {
	tell := func(kind notify.Kind, key, subject, text string) {
		all = append(all, notify.Event{Key: key, Kind: kind, Study: x.ID, Subject: subject, Text: text})
	}
	if p := x.Proposal; p != nil && (x.Approved == nil || p.Version > x.Approved.Version) {
		tell(notify.Proposal, fmt.Sprintf("proposal/%s/%d", x.ID, p.Version), fmt.Sprintf("Version %d of the study %s waits for your decision", p.Version, x.ID),
			fmt.Sprintf("%q is proposed: %s\nLook at it and decide in the custodian's page, or with: intramuros study show %s", p.Title, x.Offer().Sentence(), x.ID))
	}
	if p := x.Pending; p != nil {
		tell(notify.Proposal, fmt.Sprintf("signature/%s/%d", x.ID, x.Acts), fmt.Sprintf("The study %s lacks %d more signatures", x.ID, p.Missing),
			fmt.Sprintf("%s signed to %s it. It opens nothing before as many custodians as the policy requires have signed the same:\nSign as well in the custodian's page, or: intramuros study cosign %s",
				strings.Join(p.By, ", "), p.Act, x.ID))
	}
	if x.Failures > 0 && !x.Failed {
		tell(notify.Failure, fmt.Sprintf("failure/%s/%d/%d", x.ID, x.Approval, x.Failures), fmt.Sprintf("%d of %d failures of the study %s", x.Failures, allowed, x.ID),
			"So many of its queries failed after they were charged, of as many as may before it is suspended here. Why: intramuros ledger show --kind failure, and the node's log.")
	}
	if x.Status == study.Suspended && x.Approved != nil {
		why := "A custodian suspended it, or more signatures are required than opened it."
		if x.Failed {
			why = fmt.Sprintf("%d of its queries failed after they were charged: for want of memory, disk or time, or because a line broke. Look why, mend it, and resume the study.", x.Failures)
		}
		tell(notify.Suspension, fmt.Sprintf("suspended/%s/%d/%v", x.ID, x.Acts, x.Failed), fmt.Sprintf("The study %s is suspended here", x.ID),
			why+"\nTo open it again as it held: Resume in the custodian's page, or: intramuros study resume "+x.ID)
	}
	return all
}

// spent is the share of a budget that is charged; what is only reserved may come back.
func (s *service) spent(ctx context.Context, scope string, b dp.Budget) (float64, error) {
	charged, _, err := s.ledger.Spent(ctx, scope)
	if err != nil {
		return 0, err
	}
	return b.Remaining(charged).Fraction, nil
}
