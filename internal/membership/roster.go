package membership

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// roster is what memberlist tells: its delegate for metadata, events and
// conflicts. It keeps its own copy of who is alive, because the nodes that
// memberlist hands out change under their reader. memberlist calls it while
// holding its own locks, so nothing here may call memberlist.
type roster struct {
	logger *slog.Logger

	mu        sync.Mutex
	name      string // our own name in the gossip
	meta      []byte // our own metadata
	alive     map[string]peer
	conflicts map[string]string // name to the other address already warned of
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

// members lists the others, by name and then role.
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

// addresses is the set of gossip addresses that are alive, our own included.
func (r *roster) addresses() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := make(map[string]bool, len(r.alive))
	for _, p := range r.alive {
		set[p.address] = true
	}
	return set
}

// NotifyJoin is memberlist's: a member is new or has come back.
func (r *roster) NotifyJoin(n *memberlist.Node) {
	r.set(n)
	if n.Name != r.name {
		r.logger.Info("member joined", "member", n.Name, "address", n.Address())
	}
}

// NotifyUpdate is memberlist's: a member announces new metadata.
func (r *roster) NotifyUpdate(n *memberlist.Node) { r.set(n) }

// NotifyLeave is memberlist's: a member has left or is taken for dead.
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

// NotifyConflict is memberlist's: other claims the name of a living member. The
// claim is ignored; it is repeated with every exchange, but reported once.
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

// NodeMeta is memberlist's: what to announce.
func (r *roster) NodeMeta(limit int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meta // encode keeps it below memberlist.MetaMaxSize, which is limit
}

// The rest of memberlist's Delegate carries messages of an application over
// gossip; we send none and ignore what comes.

func (r *roster) NotifyMsg([]byte)                {}
func (r *roster) GetBroadcasts(int, int) [][]byte { return nil }
func (r *roster) LocalState(bool) []byte          { return nil }
func (r *roster) MergeRemoteState([]byte, bool)   {}
