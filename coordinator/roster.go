package coordinator

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
)

// announcedDigits is the length of the catalog digest's prefix that members announce. The node compares the whole
// digest with the fragment's.
const announcedDigits = 32

// Roster lists the daemons of the federation that are alive.
type Roster interface {
	Members() []membership.Member
}

// Hospital is an expected hospital and its state.
type Hospital struct {
	Name        string
	DataVersion string // public; empty where the hospital is not there
	// Absent says why the hospital cannot be asked; nil: it can.
	Absent  *Absence
	address string
	outward bool // it has no address: its lines are at the door
	wire    membership.Wire
}

// Federation is the state of the federation as this coordinator sees it.
type Federation struct {
	Name      string
	Hospitals []Hospital // by name
	Required  int        // how many must answer
	Ready     bool       // enough are there
	// Certificates are those of this coordinator that expire within pki.Notice, or have expired.
	Certificates []pki.Term
}

// Federation returns the state of the federation: which of the expected hospitals can be asked.
func (c *Coordinator) Federation() Federation {
	members := map[string]membership.Member{}
	for _, m := range c.members() {
		if m.Role == pki.RoleNode {
			members[m.Name] = m
		}
	}
	f := Federation{Name: c.config.Federation, Required: c.config.Require.of(len(c.config.Hospitals))}
	digest, present := c.digest[:announcedDigits], 0
	for _, name := range slices.Sorted(slices.Values(c.config.Hospitals)) {
		h := Hospital{Name: name}
		switch m, there := members[name]; {
		case !there:
			h.Absent = &Absence{Name: name, Code: absentNotJoined, Why: "is not in the federation's network now"}
		case m.Catalog != digest:
			h.Absent = &Absence{
				Name: name, Code: absentCatalog,
				Why: fmt.Sprintf("has another catalog: its digest is %.12s, the coordinator's %.12s", m.Catalog, digest),
			}
		case m.Wire.Known().Least > fragment.Version:
			h.Absent = &Absence{
				Name: name, Code: absentNew,
				Why: fmt.Sprintf("is of a later release: it reads requests from version %d on, and the coordinator writes up to version %d", m.Wire.Least, fragment.Version),
			}
		default:
			h.DataVersion, h.address, h.outward = m.DataVersion, m.Flight, m.Outward
			h.wire = m.Wire.Known()
			present++
		}
		f.Hospitals = append(f.Hospitals, h)
	}
	f.Ready = present >= f.Required
	for _, t := range c.terms() {
		if t.Soon(c.now()) {
			f.Certificates = append(f.Certificates, t)
		}
	}
	return f
}

// wireVersion returns the wire version in which a request that needs at least version least is written for the
// hospital, or why the hospital cannot be asked.
func (h Hospital) wireVersion(least int) (version int, a *Absence) {
	if h.wire.Most < least {
		return 0, &Absence{
			Name: h.Name, Code: absentOld,
			Why: fmt.Sprintf("is of an earlier release: it reads requests up to version %d, and this question needs version %d", h.wire.Most, least),
		}
	}
	return max(least, h.wire.Least), nil
}

// members returns the members that gossip knows, and then those that are at the door: a client who shows a hospital's
// certificate there is that hospital.
func (c *Coordinator) members() []membership.Member {
	var all []membership.Member
	if c.roster != nil {
		all = c.roster.Members()
	}
	if c.door != nil {
		all = append(slices.Clone(all), c.door.Members()...)
	}
	return all
}

// split returns the hospitals that can be asked, and why the others cannot.
func (f Federation) split() (present []Hospital, missing []Absence) {
	for _, h := range f.Hospitals {
		if h.Absent != nil {
			missing = append(missing, *h.Absent)
		} else {
			present = append(present, h)
		}
	}
	return present, missing
}
