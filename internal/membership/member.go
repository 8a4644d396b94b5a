package membership

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"

	"github.com/hashicorp/memberlist"
	"github.com/intramuros/intramuros/internal/pki"
)

// metadataVersion is the version of the announced JSON. A new field needs no new version, since unknown fields are
// ignored. A change of meaning needs one, and members of the old version will not list the new ones.
const metadataVersion = 1

const maxFlight = 255 // bytes of a Flight address; keeps the metadata below 512

// Member is what a daemon announces of itself.
type Member struct {
	// Role is pki.RoleNode or pki.RoleCoordinator.
	Role string
	// Name is the name in the member's certificate. The pair of role and name is unique in a federation.
	Name string
	// Flight is the host:port of the member's Flight server, at most 255 bytes. It is empty for a coordinator without a
	// Flight server, and for a node that is Outward.
	Flight string
	// Outward: the node accepts no connections, and its lines are at the coordinator's door (package outward). Such a
	// member takes no part in the gossip.
	Outward bool
	// Catalog is the digest of the member's catalog: its first 16 bytes, as 32 lower-case hex digits.
	Catalog string
	// DataVersion names the state of the member's data: at most 64 letters, digits and ._:+-; empty if it has none. It
	// must depend only on when the rows were loaded, not on what they contain.
	DataVersion string
	// Wire is the lowest and the highest version of requests that a node reads. Zero means version 1 only: the first
	// release did not announce it.
	Wire Wire
}

// Wire is a range of versions, from 1 to 9999.
type Wire struct{ Least, Most int }

// Known is the range, also for a member that did not announce it.
func (w Wire) Known() Wire {
	if w == (Wire{}) {
		return Wire{1, 1}
	}
	return w
}

// ParseWire reads the result of Numbers. It refuses impossible ranges.
func ParseWire(n []int) (Wire, error) {
	if len(n) == 0 {
		return Wire{}, nil
	}
	if len(n) != 2 || n[0] < 1 || n[1] < n[0] || n[1] > 9999 {
		return Wire{}, errors.New("the versions of the wire must be two numbers from 1 to 9999, the lowest and the highest")
	}
	return Wire{n[0], n[1]}, nil
}

// Numbers is the form that ParseWire reads: the lowest and the highest version, or nothing if they were not announced.
func (w Wire) Numbers() []int {
	if w == (Wire{}) {
		return nil
	}
	return []int{w.Least, w.Most}
}

var (
	catalogPattern     = regexp.MustCompile(`^[0-9a-f]{32}$`)
	dataVersionPattern = regexp.MustCompile(`^[A-Za-z0-9._:+-]{0,64}$`)
	flightPattern      = regexp.MustCompile(`^[A-Za-z0-9.:%\[\]_-]+$`)
)

// Validate says what is wrong with the member, or returns nil.
func (m Member) Validate() error {
	if m.Role != pki.RoleNode && m.Role != pki.RoleCoordinator {
		return fmt.Errorf("a member's role must be %s or %s, not %q", pki.RoleNode, pki.RoleCoordinator, m.Role)
	}
	if err := (pki.Identity{Federation: "any", Role: m.Role, Name: m.Name}).Validate(); err != nil {
		return err
	}
	if m.Outward && (m.Flight != "" || m.Role != pki.RoleNode) {
		return errors.New("a node that accepts no connection has no address, and only a node is one")
	}
	if m.Flight != "" || m.Role == pki.RoleNode && !m.Outward {
		if err := checkHostPort(m.Flight); err != nil || len(m.Flight) > maxFlight || !flightPattern.MatchString(m.Flight) {
			return fmt.Errorf("the Flight address %q must be host:port in at most %d bytes", m.Flight, maxFlight)
		}
	}
	if !catalogPattern.MatchString(m.Catalog) {
		return errors.New("the catalog digest must be 32 lower-case hex digits, the first 16 bytes of the digest")
	}
	if _, err := ParseWire(m.Wire.Numbers()); err != nil {
		return err
	}
	if !dataVersionPattern.MatchString(m.DataVersion) {
		return errors.New("the data version must be at most 64 letters, digits and ._:+-")
	}
	return nil
}

// gossipName is the member's name in the gossip.
func (m Member) gossipName() string { return m.Role + "/" + m.Name }

type metadata struct {
	Version     int    `json:"v"`
	Role        string `json:"role"`
	Name        string `json:"name"`
	Flight      string `json:"flight,omitempty"`
	Catalog     string `json:"catalog"`
	DataVersion string `json:"data,omitempty"`
	Wire        []int  `json:"w,omitempty"`
}

func encode(m Member) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Outward {
		return nil, errors.New("a node that accepts no connection takes no part in gossip")
	}
	b, err := json.Marshal(metadata{metadataVersion, m.Role, m.Name, m.Flight, m.Catalog, m.DataVersion, m.Wire.Numbers()})
	if err != nil {
		return nil, err
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("the member's metadata take %d bytes; at most %d can be announced", len(b), memberlist.MetaMaxSize)
	}
	return b, nil
}

// decode is the inverse of encode, for bytes from any sender.
func decode(b []byte) (Member, error) {
	if len(b) > memberlist.MetaMaxSize {
		return Member{}, fmt.Errorf("metadata of %d bytes; at most %d are allowed", len(b), memberlist.MetaMaxSize)
	}
	var meta metadata
	if err := json.Unmarshal(b, &meta); err != nil {
		return Member{}, errors.New("metadata are not the expected JSON")
	}
	if meta.Version != metadataVersion {
		return Member{}, fmt.Errorf("metadata have version %d; this program knows version %d", meta.Version, metadataVersion)
	}
	wire, err := ParseWire(meta.Wire)
	if err != nil {
		return Member{}, err
	}
	m := Member{Role: meta.Role, Name: meta.Name, Flight: meta.Flight, Catalog: meta.Catalog, DataVersion: meta.DataVersion, Wire: wire}
	return m, m.Validate()
}

func checkHostPort(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return errors.New("not host:port")
	}
	return nil
}
