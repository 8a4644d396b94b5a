package fragment

import "errors"

// Limit is the error of a fragment that exceeds a limit that all fragments have. It is ErrInvalid.
type Limit struct {
	Joined  string // the joined relation, if the limit is about joins
	Message string // what is too much
	Hint    string // what to write instead
}

// Error says what exceeds the limit, and what to write instead.
func (l *Limit) Error() string { return ErrInvalid.Error() + ": " + l.Message + "; " + l.Hint }

// Is reports that a Limit is ErrInvalid.
func (l *Limit) Is(target error) bool { return target == ErrInvalid }

// Limits of a fragment's wire form.
const (
	MaxWireBytes = 4 << 20
	maxNodes     = 100_000
	maxExpanded  = 20_000 // operations of one expression, see Scope.size
	maxDepth     = 200
	maxRelations = 30
	// maxRelationsInAll bounds the relations of a fragment, with those inside derived relations.
	maxRelationsInAll = 200
	maxKeys           = 10
	maxPartials       = 100
	// MaxCells is the largest number of groups that declared domains may give.
	MaxCells = 100_000
	// MaxIntegers is the largest number of integers that a node sends, and that declared groups may give.
	MaxIntegers = 1 << 24
)

// ErrInvalid says that this node cannot run a fragment.
var ErrInvalid = errors.New("the fragment is not valid")
