package membership

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// roster is memberlist's delegate for metadata, events and conflicts. It keeps its own copy of the living members,
// because the nodes that memberlist returns change while they are read. memberlist calls it with its own locks held, so
// nothing here may call memberlist.
type roster struct {
	logger *slog.Logger

	mu        sync.Mutex
	name      string // our own name in the gossip
	meta      []byte // our own metadata
	alive     map[string]peer
	conflicts map[string]string // name to the other address that was already reported
}

type peer struct {
	address string // host:port of the gossip
	member  Member
	known   bool // the metadata were understood
}

func newRoster(logger *slog.Logger, self Member, meta []byte) *roster {
	return &roster{logger: logger, name: self.gossipName(), meta: meta,
		alive: map[string]peer{}, conflicts: map[string]string{}}
}

func (r *roster) announce(meta []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meta = meta
}

// members lists the others, by name and then by role.
func (r *roster) members() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Member, 0, len(r.alive))
	for name, p := range r.alive {
		if p.known && name != r.name {
			list = append(list, p.member)
		}
	}
	slices.SortFunc(list, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Role, b.Role))
	})
	return list
}

// addresses is the set of gossip addresses of living members, our own included.
func (r *roster) addresses() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := make(map[string]bool, len(r.alive))
	for _, p := range r.alive {
		set[p.address] = true
	}
	return set
}

// NotifyJoin is called by memberlist: a member is new or has come back.
func (r *roster) NotifyJoin(n *memberlist.Node) {
	r.set(n)
	if n.Name != r.name {
		r.logger.Info("member joined", "member", n.Name, "address", n.Address())
	}
}

// NotifyUpdate is called by memberlist: a member announces new metadata.
func (r *roster) NotifyUpdate(n *memberlist.Node) { r.set(n) }

// NotifyLeave is called by memberlist: a member has left or is considered dead.
func (r *roster) NotifyLeave(n *memberlist.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.alive, n.Name)
	delete(r.conflicts, n.Name)
	if n.Name != r.name {
		r.logger.Info("member gone", "member", n.Name, "address", n.Address())
	}
}

func (r *roster) set(n *memberlist.Node) {
	p := peer{address: n.Address(), known: true}
	var err error
	if p.member, err = decode(n.Meta); err != nil {
		r.logger.Warn("a member is not listed, because what it announces cannot be understood",
			"member", n.Name, "address", p.address, "cause", err)
		p.known = false
	} else if p.member.gossipName() != n.Name {
		r.logger.Warn("a member is not listed, because it announces another name than it gossips under",
			"member", n.Name, "address", p.address, "announced", p.member.gossipName())
		p.known = false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive[n.Name] = p
}

// NotifyConflict is called by memberlist: other claims the name of a living member. The claim is ignored. It is
// repeated with every exchange, but reported once.
func (r *roster) NotifyConflict(existing, other *memberlist.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conflicts[existing.Name] == other.Address() {
		return
	}
	r.conflicts[existing.Name] = other.Address()
	if existing.Name == r.name {
		r.logger.Warn("another daemon uses our name; stop one of the two or give it another name",
			"member", existing.Name, "ours", existing.Address(), "theirs", other.Address())
		return
	}
	r.logger.Warn("two daemons use one name; the first stays, stop one of the two or give it another name",
		"member", existing.Name, "first", existing.Address(), "ignored", other.Address())
}

// NodeMeta is called by memberlist: it returns what to announce.
func (r *roster) NodeMeta(limit int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meta // encode keeps it below memberlist.MetaMaxSize, which is limit
}

// The other methods of memberlist's Delegate carry messages of an application over gossip. We send none, and ignore
// what arrives.

func (r *roster) NotifyMsg([]byte)                {}
func (r *roster) GetBroadcasts(int, int) [][]byte { return nil }
func (r *roster) LocalState(bool) []byte          { return nil }
func (r *roster) MergeRemoteState([]byte, bool)   {}
