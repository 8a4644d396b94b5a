package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
)

// A covered answer is a vector. Only the fragment decides its length and order. This node has added its share of the
// noise to each number. The vector leaves at a tick of the time grid; nothing leaves before.

// checkCover decides whether the numbers may leave as the request says: covered or not, and with how much noise. The
// coordinator may ask for more noise, never for less.
func (p *policy) checkCover(r *fragment.Request, proof *fragment.Proof, d *study.Document) error {
	if r.Cover == nil {
		if p.sealed.Required || d.Sealed {
			return refuse(CodeSealed, errors.New("it does not ask for covered numbers"))
		}
		return nil
	}
	least, err := p.sites(d)
	if err != nil {
		return refuse(CodeSealed, err)
	}
	if r.Cover.Sites < least {
		return refuse(CodeSealed, fmt.Errorf("its noise is for a patient at %d hospitals, and one may be at %d", r.Cover.Sites, least))
	}
	most := 1 // how many hospitals may answer, including this one
	if r.Cover.Masked() {
		for _, name := range r.Cover.Among {
			if d.Sealed && !d.IncludesHospital(name) {
				return refuse(CodeSealed, fmt.Errorf("the study asks other hospitals than %q, as it was approved here", name))
			}
			if _, pinned := p.peers[name]; !pinned && name != p.name {
				return refuse(CodeSealed, fmt.Errorf("node.yaml pins no key of %q (sealed.peers)", name))
			}
		}
		most += len(p.peers)
		if colluders := fragment.LeastColluders(most); most == 1 || r.Cover.Colluders < colluders {
			return refuse(CodeSealed, fmt.Errorf("it is to rely on all but %d of %d hospitals that node.yaml pins (sealed.peers), and relies on all but %d", r.Cover.Colluders, most, colluders))
		}
	}
	for _, n := range []int{1, most} {
		if _, err := r.Fragment.Shares(*r.Cover, n, r.Noise, proof); err != nil {
			return refuse(CodeFragment, err)
		}
	}
	if r.Cover.Names {
		if _, err := r.Fragment.Naming(*r.Cover, r.Noise, r.ThresholdDelta, proof); err != nil {
			return refuse(CodeFragment, err)
		}
	}
	return nil
}

// sites is the largest number of a study's hospitals that may know one patient. It is the number of hospitals in the
// study's approved list, else the number in node.yaml, and at most the catalog's max_sites. The list takes precedence
// over node.yaml, which may date from a time with fewer hospitals. The list of a study that is not sealed does not
// count, because each custodian may shorten it without telling the others.
func (p *policy) sites(d *study.Document) (int, error) {
	asked := p.sealed.Hospitals
	if d.Sealed && len(d.Hospitals) > 0 {
		asked = len(d.Hospitals)
	}
	switch most := p.catalog.MaxSites; {
	case asked == 0 && most == 0:
		return 0, errors.New("neither the catalog, nor node.yaml (sealed.hospitals), nor the study tells at how many hospitals a patient may be")
	case asked == 0, most > 0 && most < asked:
		return most, nil
	}
	return asked, nil
}

// exactly computes the exact numbers of a covered answer. Nobody else sees them before they are covered.
func (s *service) exactly(ctx context.Context, r reservation, out *countingWriter, take func(arrow.Record) error) error {
	if err := s.run(ctx, r, out, take); err != nil {
		return err
	}
	return s.checkUnchanged(ctx, r.version, out)
}

// drawing is the grid on which masked numbers leave after the members are known. How long a draw of the noise takes
// depends on the drawn value (Jin et al. 2022), and for one number drawing is most of the work.
var drawing = grid.Grid{First: 5 * time.Millisecond, Ratio: 1.2}

// tick waits for the next tick, at which something leaves.
func tick(ctx context.Context, ticks grid.Ticks) error {
	if err := ticks.Wait(ctx, ticks.Next(0)); err != nil {
		return refuse(stopped(ctx), errors.New("before the tick at which it would have answered"))
	}
	return nil
}

// shares are this hospital's shares of the noise, if that many hospitals answer.
func (r reservation) shares(hospitals int) ([]*dp.Share, error) {
	shares, err := r.request.Fragment.Shares(*r.request.Cover, hospitals, r.request.Noise, r.proof)
	if err != nil {
		return nil, refuse(CodeFragment, err)
	}
	return shares, nil
}

// ended turns an error into the refusal of a canceled call, if the call has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return refuse(stopped(ctx), errors.New("while it drew noise"))
	}
	return err
}

// sendVector sends a covered vector.
func (s *service) sendVector(vector []int64, out *countingWriter) error {
	if err := fragment.WriteCovered(vector, s.alloc, out.send); err != nil {
		return refuse(CodeCanceled, errors.New("the stream broke"))
	}
	return out.close()
}

// late delays a failure until a tick, before it is recorded. When it failed may depend on the data, and any coordinator
// can ask at any time how long the ledger is. If the execution is ended meanwhile, nobody learns that it had failed.
func late(ctx context.Context, ticks grid.Ticks, err error) error {
	if ended := tick(ctx, ticks); ended != nil {
		return ended
	}
	return err
}

// cover computes, adds this hospital's noise, and sends the vector at the next tick.
func (s *service) cover(ctx context.Context, r reservation, out *countingWriter, ticks grid.Ticks) error {
	exact := fragment.NewDense(&r.request.Fragment)
	if err := s.exactly(ctx, r, out, exact.Add); err != nil {
		return err
	}
	shares, err := r.shares(1)
	if err != nil {
		return err
	}
	vector, err := exact.Covered(ctx, shares)
	if err != nil {
		return ended(ctx, err)
	}
	if err := tick(ctx, ticks); err != nil {
		return err
	}
	return s.sendVector(vector, out)
}

// talks is the conversation with a coordinator while a query is answered.
type talks interface {
	// names sends the groups that this hospital names, and receives those that any hospital named.
	names(ctx context.Context, f *fragment.Fragment, own [][]value.Value) ([][]value.Value, error)
	// members says that this hospital is done, and receives the hospitals with which it masks.
	members(ctx context.Context, own seal.Member) ([]seal.Member, error)
}

// talked reports whether the answer needs a conversation: about groups, or about who is done.
func (r reservation) talked() bool {
	return r.request.Cover != nil && (r.request.Cover.Masked() || r.request.Cover.Names)
}

// talk computes the answer, names groups if they are not declared, says that it is done if numbers are masked, and
// covers what was agreed on. rest gives back the turn to run, since other hospitals may take longer.
func (s *service) talk(ctx context.Context, r reservation, out *countingWriter, ticks grid.Ticks, with talks, rest func()) error {
	key, err := seal.NewKey()
	if err != nil {
		return refuse(CodeEngine, errors.New("no key can be made"))
	}
	request := seal.Request{Federation: s.federation, Study: r.request.Study, Query: r.request.Query, Digest: r.request.Digest()}
	if r.request.Cover.Names {
		covered, digest, err := s.named(ctx, r, out, ticks, with, rest)
		if err != nil {
			return err
		}
		if request.Digest = digest; r.request.Cover.Masked() {
			return s.seal(ctx, r, out, request, key, with, covering{anew: covered})
		}
		told := s.since(time.Now())
		vector, err := covered(1)
		if err != nil {
			return ended(ctx, err)
		}
		if err := tick(ctx, told); err != nil {
			return err
		}
		return s.sendVector(vector, out)
	}
	exact := fragment.NewDense(&r.request.Fragment)
	numbers := covering{hospitals: len(r.request.Cover.Among), anew: func(hospitals int) ([]int64, error) {
		shares, err := r.shares(hospitals)
		if err != nil {
			return nil, err
		}
		return exact.Covered(ctx, shares)
	}}
	if err := s.exactly(ctx, r, out, exact.Add); err != nil {
		return err
	}
	if numbers.vector, err = numbers.anew(numbers.hospitals); err != nil {
		return ended(ctx, err)
	}
	if err := tick(ctx, ticks); err != nil {
		return err
	}
	rest()
	return s.seal(ctx, r, out, request, key, with, numbers)
}

// covering holds how masked numbers are covered: for all hospitals that were asked, before this one says that it is
// done, and anew if fewer are done. Only one of the two vectors ever leaves.
type covering struct {
	hospitals int     // for which vector is covered; 0: for none
	vector    []int64 // drawn before the tick at which this hospital says that it is done
	anew      func(hospitals int) ([]int64, error)
}

// of gives the covered numbers for that many hospitals. Noise that was drawn before hides how long drawing took; noise
// that is drawn now leaves at a tick.
func (c covering) of(ctx context.Context, hospitals int, told grid.Ticks) ([]int64, error) {
	if c.hospitals == hospitals {
		return c.vector, nil
	}
	vector, err := c.anew(hospitals)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return vector, tick(ctx, told)
}

// since are the ticks, counted from the time told, at which the rest of the answer leaves.
func (s *service) since(told time.Time) grid.Ticks {
	return grid.Ticks{Grid: drawing, Started: told, Timeout: s.limits.QueryTimeout}
}

// named computes the answer, and names the groups whose covered count passes the threshold. It returns a function that
// covers the groups of the coordinator's list, and a digest of the request with that list.
func (s *service) named(ctx context.Context, r reservation, out *countingWriter, ticks grid.Ticks, with talks, rest func()) (covered func(int) ([]int64, error), digest [sha256.Size]byte, err error) {
	f := &r.request.Fragment
	naming, err := f.Naming(*r.request.Cover, r.request.Noise, r.request.ThresholdDelta, r.proof)
	if err != nil {
		return nil, digest, refuse(CodeFragment, err)
	}
	exact := fragment.NewSparse(f, r.proof)
	if err := s.exactly(ctx, r, out, exact.Add); err != nil {
		return nil, digest, err
	}
	own := exact.Names(naming)
	if f.TooMany(len(own)) {
		return nil, digest, refuse(CodeTooLarge, errors.New("it would name more groups than can be covered"))
	}
	if err := tick(ctx, ticks); err != nil {
		return nil, digest, err
	}
	rest()
	out.named = len(own)
	groups, err := with.names(ctx, f, own)
	if err != nil {
		return nil, digest, err
	}
	return func(hospitals int) ([]int64, error) {
		shares, err := r.shares(hospitals)
		if err != nil {
			return nil, err
		}
		return exact.Covered(ctx, naming, shares, groups)
	}, fragment.DigestOf(r.request.Digest(), groups), nil
}

// seal says that this hospital is done, adds noise for the hospitals that are done, and masks the sum for exactly them.
// The key is made for this query and forgotten with it, so no two vectors are ever masked with the same numbers.
func (s *service) seal(ctx context.Context, r reservation, out *countingWriter, request seal.Request, key seal.Key, with talks, numbers covering) error {
	all, err := with.members(ctx, request.Member(s.name, key, s.custody.key))
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Name == s.name {
			continue // Mask looks whether it is this key
		}
		if err := request.Verify(m, s.peers[m.Name]); err != nil {
			return refuse(CodeSealed, err)
		}
	}
	vector, err := numbers.of(ctx, len(all), s.since(time.Now()))
	if err != nil {
		return err
	}
	if err := request.Mask(vector, s.name, key, all); err != nil {
		return refuse(CodeSealed, err)
	}
	out.members, out.exposure = len(all), r.request.Cover.Exposure(len(all))
	return s.sendVector(vector, out)
}

// conversation is a stream on which the coordinator answers.
type conversation struct {
	flight.FlightService_DoExchangeServer
}

// receive returns the coordinator's next message.
func (c conversation) receive(ctx context.Context) ([]byte, error) {
	type said struct {
		data *flight.FlightData
		err  error
	}
	told := make(chan said, 1)
	go func() { // ends with the stream, and so with the call
		data, err := c.Recv()
		told <- said{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, refuse(stopped(ctx), errors.New("while it waited for the other hospitals"))
	case x := <-told:
		if x.err != nil {
			return nil, refuse(CodeCanceled, errors.New("the stream broke"))
		}
		return x.data.GetAppMetadata(), nil
	}
}

func (c conversation) send(b []byte) error {
	if err := c.Send(&flight.FlightData{AppMetadata: b}); err != nil {
		return refuse(CodeCanceled, errors.New("the stream broke"))
	}
	return nil
}

func (c conversation) names(ctx context.Context, f *fragment.Fragment, own [][]value.Value) ([][]value.Value, error) {
	if err := fragment.WriteNames(own, c.send); err != nil {
		return nil, err
	}
	groups, err := f.ReadNames(func() ([]byte, error) { return c.receive(ctx) })
	if errors.Is(err, fragment.ErrRecord) {
		return nil, refuse(CodeSealed, err)
	}
	return groups, err
}

func (c conversation) members(ctx context.Context, own seal.Member) ([]seal.Member, error) {
	b, err := json.Marshal(own)
	if err != nil {
		return nil, refuse(CodeRequest, err)
	}
	if err := c.send(b); err != nil {
		return nil, err
	}
	if b, err = c.receive(ctx); err != nil {
		return nil, err
	}
	all, err := seal.ParseMembers(b)
	if err != nil {
		return nil, refuse(CodeSealed, err)
	}
	return all, nil
}
