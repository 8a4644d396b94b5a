package fragment

import "slices"

// Proof is what Check derives from a fragment and the catalog alone, and what
// the release's sensitivity and the engine's SQL rest upon.
type Proof struct {
	// OneRow: a patient has at most one row, so no per-patient grouping is needed.
	OneRow bool
	// KeysPerPatient: all rows of a patient fall into one group.
	KeysPerPatient bool
	// Groups is in how many groups one patient may be without being clipped, at one node.
	Groups int
	// Capped: there are joins in which rows of a patient beyond MaxPatientRows are left out, see Cap.
	Capped bool
	// Rows is how many rows one patient may have without being clipped, at one node.
	Rows int
	// Unclipped: no patient can have more, as the fragment is and by what the proof rests on.
	Unclipped bool
	// Cells is the number of groups where every key's domain is declared (1
	// without keys), and 0 where one is not: then the groups need selection.
	Cells int
	// Units is, for each partial aggregate, as what 1 counts in the integers that a node sends: a power of two.
	Units []int64
	// Sizes is the size of each partial aggregate, in its integers: a patient whose part of it is that much, in one
	// group, and nothing else, has a vector that is its weight long.
	Sizes []int64
}

// clipsNobody: a patient has one row; or patients are counted, and there are no more groups than one patient may be in.
func (p *Proof) clipsNobody(f *Fragment) bool {
	if p.OneRow {
		return true
	}
	few := p.KeysPerPatient || p.Cells > 0 && p.Cells <= p.Groups
	return few && !slices.ContainsFunc(f.Partials, func(p Partial) bool {
		return p.Kind != PartialPatients && !(p.Kind == PartialBeyond && p.Of == PartialPatients)
	})
}

// Weaker is the proof of the same fragment, sizes and units, for rows of which less is known: what the catalog q was
// made from promises.
func (p *Proof) Weaker(f *Fragment, q *Proof) *Proof {
	weaker := *p
	weaker.OneRow, weaker.KeysPerPatient = q.OneRow, q.KeysPerPatient
	weaker.Unclipped = weaker.clipsNobody(f)
	return &weaker
}
