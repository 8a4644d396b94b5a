package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
)

// A hospital's catalog says which tables are public: they may be released in full and contain nothing about patients.
// So a lookup costs nothing. The caller is verified as for any query. The relation is proved public from this node's
// own catalog. Rows, bytes and rate are bounded.

// Reader reads rows of public tables.
type Reader interface {
	// CompileReading returns the SQL that Look would run. An error means that this hospital has no source for a table, or
	// no SQL.
	CompileReading(r *fragment.Reading) (string, error)
	// Look passes the rows of a reading to take, in the reading's order. It ends with take's error, or soon after ctx
	// does. It reads only tables that the catalog calls public. An error may quote data.
	Look(ctx context.Context, r *fragment.Reading, take func(row []value.Value) error) error
}

var errManyRows = errors.New("it has more rows than leave at once")

// decodeLookup reads a lookup, and returns the caller in the form of a request.
func decodeLookup(body []byte) (*fragment.Lookup, *fragment.Request, error) {
	l, err := fragment.DecodeLookup(body)
	if err != nil {
		return nil, nil, refuse(CodeRequest, err)
	}
	if !queryID.MatchString(l.Query) || !study.ValidID(l.Study) || !identity.ValidName(l.Researcher) {
		return nil, nil, refuse(CodeRequest, errors.New("the query's id, or the study's or the researcher's name, is not a plain one"))
	}
	return l, &fragment.Request{Query: l.Query, Study: l.Study, Researcher: l.Researcher, Token: l.Token}, nil
}

// lookup answers a lookup.
func (s *service) lookup(ctx context.Context, id pki.Identity, l *fragment.Lookup, who *fragment.Request) (*fragment.Found, error) {
	now := s.now()
	if err := s.suspension.released(); err != nil {
		return nil, err
	}
	if err := s.custody.checkComplete(ctx, s.ledger, known(ctx)); err != nil {
		return nil, err
	}
	document, err := s.permit(ctx, who, now)
	if err != nil {
		return nil, err
	}
	if err := s.looked.Enter(l.Researcher, now); err != nil {
		return nil, refuse(CodeRate, err)
	}
	defer s.looked.Leave(l.Researcher)
	over := s.verified.Load()
	if err := s.readable(l, document, over); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.QueryTimeout)
	defer cancel()
	ctx, done := s.suspension.during(ctx)
	defer done()
	if err := s.spreads.reading(ctx, &s.policy, &l.Reading, over); err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, refuse(stopped(ctx), errors.New("while it waited for its turn"))
	}
	version, err := s.verifiedVersion(ctx, over)
	if err != nil {
		return nil, err
	}
	found, err := s.look(ctx, &l.Reading)
	if err != nil {
		return nil, err
	}
	switch now, err := s.version(ctx); {
	case err != nil:
		return nil, err
	case now != version:
		s.requestVerification()
		return nil, refuse(CodeData, errors.New("the data changed while it was read"))
	}
	s.recordLookup(ctx, id, l, len(found.Rows))
	return found, nil
}

// readable refuses tables and columns that the study or this node does not allow.
func (s *service) readable(l *fragment.Lookup, document *study.Document, over *verified) error {
	switch {
	case l.Catalog != s.digest:
		return refuse(CodeCatalog, fmt.Errorf("the query's catalog is %.12s, ours %.12s", l.Catalog, s.digest))
	case s.limits.PublicRows == 0:
		return refuse(CodePublic, errors.New("limits.public_rows is 0"))
	case s.public == nil:
		return refuse(CodeSource, errors.New("no engine for public tables"))
	}
	if _, err := l.Table(s.catalog); err != nil {
		return refuse(CodeFragment, err)
	}
	if _, err := (scope{s.catalog, document}).derived(l.Relation); err != nil {
		return &refusal{Code: CodeScope, cause: err, told: true}
	}
	for _, table := range l.Tables() {
		if over.wrong[strings.ToLower(table)] {
			return refuse(CodeSource, fmt.Errorf("the data of table %s contradicts the catalog", table))
		}
	}
	if _, err := s.public.CompileReading(&l.Reading); err != nil {
		return refuse(CodeSource, err)
	}
	return nil
}

// look reads the rows and ends at a tick. It shares the machine with queries about patients; without the tick, its end
// would reveal to the microsecond when such a query ended.
func (s *service) look(ctx context.Context, r *fragment.Reading) (*fragment.Found, error) {
	ticks := grid.Ticks{Grid: grid.Default, Started: time.Now(), Timeout: s.limits.QueryTimeout}
	found, err := s.rows(ctx, r)
	if ended := tick(ctx, ticks); err == nil && ended != nil {
		return nil, ended
	}
	return found, err
}

// rows reads at most as many rows as may leave at once.
func (s *service) rows(ctx context.Context, r *fragment.Reading) (found *fragment.Found, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse(CodeEngine, fmt.Errorf("a panic of type %T", p))
		}
	}()
	found = &fragment.Found{Rows: [][]*string{}}
	bounded := *r
	bounded.Limit = min(r.Limit, s.limits.PublicRows+1)
	bytes := 0
	err = s.public.Look(ctx, &bounded, func(row []value.Value) error {
		for _, v := range row {
			bytes += len(v.String()) + len(`"",`)
		}
		if len(found.Rows) == s.limits.PublicRows || bytes > fragment.MaxLookupBytes {
			return errManyRows
		}
		found.Append(row)
		return nil
	})
	switch {
	case errors.Is(err, errManyRows):
		return nil, refuse(CodePublic, err)
	case err != nil && ctx.Err() != nil:
		return nil, refuse(stopped(ctx), errors.New(class(err)))
	case err != nil:
		return nil, refuse(CodeEngine, errors.New(class(err)))
	}
	return found, nil
}

// recordLookup records in the ledger what has left, unless lookups have used up their share of the ledger's bytes.
func (s *service) recordLookup(ctx context.Context, id pki.Identity, l *fragment.Lookup, rows int) {
	detail, err := json.Marshal(struct {
		Public []string `json:"public"`
		Rows   int      `json:"rows"`
	}{l.Tables(), rows})
	if err != nil {
		return // encoding texts cannot fail
	}
	e := ledger.Entry{
		Kind: ledger.KindAnswer, Study: l.Study, Researcher: l.Researcher, Query: l.Query, Detail: detail,
		Text: fmt.Sprintf("%d rows of what is public by the catalog (%s) left for %s. Nothing of a patient was read, and nothing was charged.", rows, strings.Join(l.Tables(), ", "), id),
	}
	if ok, left := s.lookups.allow(l.Study+" "+l.Researcher, e.Bytes(), s.now()); ok {
		if left > 0 {
			e.Text = fmt.Sprintf("%d lookups in public tables before this one are not recorded: there were too many. %s", left, e.Text)
		}
		s.record(ctx, e)
	}
	s.log.Info("looked up", slog.String("query", l.Query), slog.String("study", l.Study), slog.String("researcher", l.Researcher))
}
