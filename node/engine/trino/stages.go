package trino

import (
	"maps"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

const (
	// maxStages is how many stages a statement may have at the server, set for each query in place of the server's own
	// query.max-stage-count, of which 150 is usual.
	maxStages = 400
	// mostStages is how many a fragment may have by its text. What Run adds, since it looks at keys and may believe in
	// fewer, fits between.
	mostStages = 350
)

// Compile is engine.Engine's. What may have more stages than the server takes is refused, for how many they are the
// optimizer decides, by statistics of the data, and after the charge.
func (e *Engine) Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error) {
	text, caveats, err := e.Engine.Compile(f, p)
	if err == nil && stages(text) > mostStages {
		return "", nil, errTooManyStages
	}
	return text, caveats, err
}

// errTooManyStages follows from the fragment alone.
var errTooManyStages error = &fragment.Limit{Message: "it joins and groups more than Trino takes in one statement", Hint: "join fewer relations in one query"}

// stages bounds the stages of a statement that package compile wrote, whichever plan the server makes of it: one for
// the result, and one for each exchange that an operation may need. What WITH names is computed as often as it is read.
func stages(text string) int {
	s := &stageCount{tokens: words(text)}
	return 1 + s.query(map[string]int{})
}

// stageCount reads a statement word by word.
type stageCount struct {
	tokens []string
	at     int
}

func (s *stageCount) next() string {
	if s.at == len(s.tokens) {
		return ""
	}
	s.at++
	return s.tokens[s.at-1]
}

func (s *stageCount) peek() string {
	if s.at == len(s.tokens) {
		return ""
	}
	return s.tokens[s.at]
}

// exchanges are how many each word may need: a join two, since both sides may be partitioned anew; a set as many as it
// has sides, and one more for the removal of doubles.
var exchanges = map[string]int{
	"JOIN": 2, "EXISTS": 3, "GROUP": 1, "OVER": 1, "DISTINCT": 2, "UNION": 2, "INTERSECT": 3, "EXCEPT": 3, "LIMIT": 2, "ORDER": 2,
}

// adding are functions that add up rows, over which there is an exchange without GROUP BY, too.
var adding = map[string]bool{"count": true, "sum": true, "min": true, "max": true, "avg": true, "bool_or": true, "bool_and": true, "array_agg": true, "max_by": true, "min_by": true}

// level is a SELECT with what stands in parentheses of its own.
type level struct {
	known         map[string]int // exchanges of what WITH names
	adds, grouped bool
}

// query counts what stands between parentheses, or at the outermost.
func (s *stageCount) query(around map[string]int) int {
	l := &level{known: maps.Clone(around)}
	n := s.within(l, true)
	if l.adds && !l.grouped {
		n++
	}
	return n
}

// within counts up to the parenthesis that ends it; selects: a SELECT of its own stands there.
func (s *stageCount) within(l *level, selects bool) (total int) {
	for before := ""; ; {
		word := s.next()
		switch {
		case word == "" || word == ")":
			return total
		case word == "(" && (s.peek() == "SELECT" || s.peek() == "WITH"):
			total += s.query(l.known)
			if before == "IN" { // a cohort is a join
				total += exchanges["JOIN"]
			}
		case word == "(":
			total += s.within(l, false)
		case word == "WITH" || word == "," && s.names():
			name := s.next()
			s.at += 2 // AS (
			l.known[name] = s.query(l.known)
		case before == "FROM" || before == "JOIN":
			total += l.known[word]
		case word == "ORDER" && !selects: // within OVER or an aggregate
		case adding[word]:
			l.adds = true
		default:
			l.grouped = l.grouped || word == "GROUP"
			total += exchanges[word]
		}
		before = word
	}
}

// names reports whether what follows is `name AS (`, which a list of WITH has after a comma.
func (s *stageCount) names() bool {
	return s.at+2 < len(s.tokens) && s.tokens[s.at+1] == "AS" && s.tokens[s.at+2] == "("
}

// words splits SQL at blanks, and at parentheses and commas. Quoted names are words, texts are none.
func words(text string) []string {
	var all []string
	for text != "" {
		end := strings.IndexAny(text, " \n\t(),'\"")
		if end < 0 {
			end = len(text)
		}
		if end > 0 {
			all = append(all, text[:end])
			text = text[end:]
			continue
		}
		length := 1
		switch text[0] {
		case '\'', '"':
			length = strings.IndexByte(text[1:], text[0]) + 2
			if text[0] == '"' {
				all = append(all, text[:length])
			}
		case '(', ')', ',':
			all = append(all, text[:1])
		}
		text = text[length:]
	}
	return all
}
