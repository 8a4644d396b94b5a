package fragment

import (
	"fmt"
	"slices"
)

// The wire forms that this release reads and writes. Daemons announce both numbers. A request is written in the lowest
// version that can express it, so hospitals can upgrade one by one: nodes of an earlier release still answer a question
// that needs nothing new.
//
// A version fixes the fields and words that a request may use. testdata/wire.golden lists them, each with its first
// version. A new one gets the next version, is a field that is left out if it is not needed (omitempty), and gets an
// entry in later. A released version never changes.
const (
	// Oldest is the lowest version that is read: that of the release before, or an older one. Version 1 is not read. It
	// dropped a patient's groups and weighed rows, and a node must not apply those rules to the words that version 2
	// has in common with it.
	Oldest = 2
	// Version is the highest version. 3 adds noise at the hospitals for groups that are not declared, frames of values,
	// and the measure of what clipping cuts off.
	Version = 3
	// LookupSince is the lowest version whose nodes answer lookups.
	LookupSince = 3
)

// novelty is something that a request can only say since a version.
type novelty struct {
	since int
	what  string // its name in testdata/wire.golden
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

// measures reports whether the request asks for what clipping cuts off.
func measures(r *Request) bool {
	return slices.ContainsFunc(r.Fragment.Partials, func(p Partial) bool { return p.Kind == PartialBeyond })
}

// Least is the lowest version that can express the request.
func Least(r *Request) int {
	least := Oldest
	for _, n := range later {
		if n.since > least && n.said(r) {
			least = n.since
		}
	}
	return least
}

// versioned refuses a request of a version that this release does not read, or that uses a newer field or word than its
// version has.
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
