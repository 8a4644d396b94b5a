package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/study"
)

// notices are the messages that the federation's operators should get now: what studies have spent, which hospitals
// have closed a study or have lost a part of their ledger, and certificates that expire.
func (c *Coordinator) notices(ctx context.Context) ([]notify.Event, error) {
	now, l := c.now(), c.config.Notify.Language
	var all []notify.Event
	for _, s := range c.studies.All() {
		if !s.Open(now) {
			continue
		}
		charged, _, err := c.ledger.Spent(ctx, "study:"+s.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, l.BudgetNotices(s.ID, s.Approved.Budget.Remaining(charged).Spent, s.Approved.Budget)...)
	}
	for _, t := range c.terms() {
		if t.Soon(now) {
			all = append(all, l.CertificateNotice(t, now))
		}
	}
	return append(all, c.hospitalNotices(now)...), nil
}

func (c *Coordinator) hospitalNotices(now time.Time) (all []notify.Event) {
	l := c.config.Notify.Language
	c.custody.mu.Lock()
	defer c.custody.mu.Unlock()
	for _, h := range slices.Sorted(maps.Keys(c.custody.alarms)) {
		if alarm := c.custody.alarms[h]; alarm != "" {
			all = append(all, notify.Event{Key: "ledger/" + h, Kind: notify.Suspension,
				Subject: l.Say("The ledger of %s is not what it was", "Le registre de %s n’est plus ce qu’il était", h),
				Text: l.Say("It "+alarm+". It is asked nothing until its custodian has acknowledged it (docs/operations.md).",
					"Il lui manque une partie, il n’est plus signé de la même clé, ou c’est celui d’un autre ; le journal du coordinateur dit lequel. "+
						"Rien n’est demandé à cet hôpital avant que son responsable l’ait reconnu (docs/operations.md).")})
		}
	}
	for _, s := range c.studies.All() {
		if !s.Open(now) {
			continue
		}
		for _, h := range c.config.Hospitals {
			if s.Approved.IncludesHospital(h) && c.custody.statuses[h][s.ID] == study.Suspended {
				all = append(all, notify.Event{Key: fmt.Sprintf("suspended/%s/%s", s.ID, h), Kind: notify.Suspension, Study: s.ID,
					Subject: l.Say("%s has suspended the study %s", "%s a suspendu l’étude %s", h, s.ID),
					Text: l.Say("Its queries are answered without that hospital, or not at all. Its custodian can resume the study there.",
						"Ses requêtes reçoivent une réponse sans cet hôpital, ou aucune. Son responsable peut y reprendre l’étude.")})
			}
		}
	}
	return all
}
