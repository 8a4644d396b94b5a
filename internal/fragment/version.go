package fragment

import (
	"fmt"
	"slices"
)

// The wire forms that this release reads and writes. Daemons announce the two numbers, and a request is written at the
// lowest version that can say it, so that hospitals are upgraded one by one: a question that needs nothing new goes on
// being answered by those that know nothing new.
//
// A version fixes what may be said: fields and words, which testdata/wire.golden lists with the version since which
// they are. What is new gets the next version, a field that is left out where it is not needed (omitempty), and an
// entry in later. A version that a release has spoken never changes.
const (
	// Oldest is the lowest version that is read: that of the release before, at least. Version 1 is not: in it a
	// patient's groups were dropped and rows weighed, and what 2 says by the same words, a node must not compute by
	// those rules.
	Oldest = 2
	// Version is the highest. 3 has covered groups that are not declared, and frames of values, and measures what
	// clipping leaves out.
	Version = 3
	// LookupSince is the lowest version whose nodes answer lookups.
	LookupSince = 3
)

// novelty is what a request cannot say before a version.
type novelty struct {
	since int
	what  string // as testdata/wire.golden names it
	said  func(*Request) bool
}

// later lists what is newer than Oldest.
var later = []novelty{
	{3, `PartialKind "beyond"`, measures},
	{3, "Partial.most int", measures},
	{3, "Partial.of fragment.PartialKind", measures},
	{3, "Cover.names bool", func(r *Request) bool { return r.Cover != nil && r.Cover.Names }},
	{3, "Frame.values bool", func(r *Request) bool { return r.Fragment.framesValues() }},
}

// measures reports whether the request asks what clipping leaves out.
func measures(r *Request) bool {
	return slices.ContainsFunc(r.Fragment.Partials, func(p Partial) bool { return p.Kind == PartialBeyond })
}

// Least is the lowest version that can say the request.
func Least(r *Request) int {
	least := Oldest
	for _, n := range later {
		if n.since > least && n.said(r) {
			least = n.since
		}
	}
	return least
}

// versioned refuses a request of a version that this release does not read, or that says what its version cannot.
func (r *Request) versioned() error {
	v := r.Fragment.Version
	if v < Oldest || v > Version {
		return fmt.Errorf("%w: version %d; this node speaks versions %d to %d (since 2 a patient is clipped to a norm)", ErrInvalid, v, Oldest, Version)
	}
	if least := Least(r); least > v {
		return fmt.Errorf("%w: version %d, and it says what there is only since version %d", ErrInvalid, v, least)
	}
	return nil
}

// framesValues reports whether a window has a frame of values.
func (f *Fragment) framesValues() bool {
	found := false
	walkDerived(f.Relations, func(d *Query) {
		for _, o := range d.Columns {
			found = found || o.Window != nil && o.Window.Frame != nil && o.Window.Frame.Values
		}
	})
	return found
}
