package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/study"
)

// A covered answer is a vector as long, and in the order, that the fragment alone decides, to each number of which this
// node has added its share of the noise. It leaves at a tick of the time grid, and nothing leaves before.

// shares decides whether the numbers leave covered, and by what noise; nil: as they are, for the coordinator to cover.
// Nothing of the noise is the coordinator's word: it may only ask for more.
func (p *policy) shares(r *fragment.Request, proof *fragment.Proof, d *study.Document) ([]*dp.Share, error) {
	if r.Cover == nil {
		if p.sealed.Required || d.Sealed {
			return nil, refuse(CodeSealed, errors.New("it does not ask for covered numbers"))
		}
		return nil, nil
	}
	least, err := p.sites(d)
	if err != nil {
		return nil, refuse(CodeSealed, err)
	}
	if r.Cover.Sites < least {
		return nil, refuse(CodeSealed, fmt.Errorf("its noise is for a patient at %d hospitals, and one may be at %d", r.Cover.Sites, least))
	}
	shares, err := r.Fragment.Shares(*r.Cover, r.Noise, proof)
	if err != nil {
		return nil, refuse(CodeFragment, err)
	}
	return shares, nil
}

// sites is at how many hospitals of a study one patient may be, as the catalog, node.yaml and the study that was approved
// here tell.
func (p *policy) sites(d *study.Document) (int, error) {
	least := 0
	for _, n := range []int{p.catalog.MaxSites, p.sealed.Hospitals, len(d.Hospitals)} {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	if least == 0 {
		return 0, errors.New("neither the catalog, nor node.yaml (sealed.hospitals), nor the study tells at how many hospitals a patient may be")
	}
	return least, nil
}

// cover computes, adds this hospital's noise, and sends the vector at the next tick.
func (s *service) cover(ctx context.Context, r reservation, out *outlet, ticks grid.Ticks) error {
	exact := fragment.NewDense(&r.request.Fragment)
	if err := s.run(ctx, r, out, exact.Add); err != nil {
		return err
	}
	if err := s.same(ctx, r.version); err != nil {
		return err
	}
	vector := exact.Covered(r.shares)
	if err := ticks.Wait(ctx, ticks.Next(0)); err != nil {
		return refuse(stopped(ctx), errors.New("before the tick at which it would have answered"))
	}
	if err := fragment.WriteCovered(vector, s.alloc, out.send); err != nil {
		return refuse(CodeCanceled, errors.New("the stream broke"))
	}
	return out.close()
}
