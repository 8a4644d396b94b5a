package fragment

import "slices"

// Proof is what Check derives from a fragment and the catalog alone. The release's sensitivity and the engine's SQL
// rest on it.
type Proof struct {
	// OneRow: a patient has at most one row, so no per-patient grouping is needed.
	OneRow bool
	// KeysPerPatient: all rows of a patient fall into one group.
	KeysPerPatient bool
	// Groups is the number of groups in which one patient may be without being clipped, at one node.
	Groups int
	// Capped: there are joins in which rows of a patient beyond MaxPatientRows are left out, see Cap.
	Capped bool
	// Rows is the number of rows that one patient may have without being clipped, at one node.
	Rows int
	// Unclipped: no patient can exceed the limits, by the fragment and the assumptions of the proof.
	Unclipped bool
	// Cells is the number of groups if every key's domain is declared (1 without keys). It is 0 otherwise, and then the
	// groups need selection.
	Cells int
	// Units has, for each partial aggregate, the integer that stands for 1 in what a node sends: a power of two.
	Units []int64
	// Sizes has the size of each partial aggregate, in its integers. A patient with a part of exactly that size, in one
	// group, and nothing else, has a vector of the length of its weight.
	Sizes []int64
}

// clipsNobody reports that no patient exceeds the norm: a patient has one row; or only patients are counted, and there
// are no more groups than one patient may be in.
func (p *Proof) clipsNobody(f *Fragment) bool {
	if p.OneRow {
		return true
	}
	few := p.KeysPerPatient || p.Cells > 0 && p.Cells <= p.Groups
	return few && !slices.ContainsFunc(f.Partials, func(p Partial) bool {
		return p.Kind != PartialPatients && !(p.Kind == PartialBeyond && p.Of == PartialPatients)
	})
}

// Weaker is the proof of the same fragment, with the same sizes and units, if less is known of the rows: q was derived
// from weaker promises of the catalog.
func (p *Proof) Weaker(f *Fragment, q *Proof) *Proof {
	weaker := *p
	weaker.OneRow, weaker.KeysPerPatient = q.OneRow, q.KeysPerPatient
	weaker.Unclipped = weaker.clipsNobody(f)
	return &weaker
}
