package trino

import (
	"maps"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

const (
	// maxStages is the largest number of stages of a statement. It is set for each query and replaces the server's
	// query.max-stage-count, which is usually 150.
	maxStages = 400
	// mostStages is the largest number of stages of a fragment, counted in its text. Run adds some more, because it
	// looks at keys and may trust fewer of them. These fit below maxStages.
	mostStages = 350
)

// Compile implements engine.Engine. It refuses a fragment that may have more stages than the server allows. The
// optimizer decides their number by statistics of the data, and after the charge, so a refusal at the server would be
// too late.
func (e *Engine) Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error) {
	text, caveats, err := e.Engine.Compile(f, p)
	if err == nil && stages(text) > mostStages {
		return "", nil, errTooManyStages
	}
	return text, caveats, err
}

// errTooManyStages depends on the fragment alone.
var errTooManyStages error = &fragment.Limit{Message: "it joins and groups more than Trino takes in one statement", Hint: "join fewer relations in one query"}

// stages bounds the number of stages of a statement that package compile wrote, for every plan that the server may
// choose: one for the result, and one for each exchange that an operation may need. A query of WITH is computed as
// often as it is read.
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

// exchanges is the number of exchanges that each word may need. A join needs two, because both sides may be
// repartitioned. A set operation needs one per side, and one more to remove duplicates.
var exchanges = map[string]int{
	"JOIN": 2, "EXISTS": 3, "GROUP": 1, "OVER": 1, "DISTINCT": 2, "UNION": 2, "INTERSECT": 3, "EXCEPT": 3, "LIMIT": 2, "ORDER": 2,
}

// adding are aggregate functions, which need an exchange even without GROUP BY.
var adding = map[string]bool{"count": true, "sum": true, "min": true, "max": true, "avg": true, "bool_or": true, "bool_and": true, "array_agg": true, "max_by": true, "min_by": true}

// level is a SELECT, without the SELECTs in its parentheses.
type level struct {
	known         map[string]int // exchanges of what WITH names
	adds, grouped bool
}

// query counts the stages of a query in parentheses, or of the outermost one.
func (s *stageCount) query(around map[string]int) int {
	l := &level{known: maps.Clone(around)}
	n := s.within(l, true)
	if l.adds && !l.grouped {
		n++
	}
	return n
}

// within counts up to the closing parenthesis. selects: the parentheses hold a SELECT.
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

// names reports whether the next words are `name AS (`, which follow a comma in a list of WITH.
func (s *stageCount) names() bool {
	return s.at+2 < len(s.tokens) && s.tokens[s.at+1] == "AS" && s.tokens[s.at+2] == "("
}

// words splits SQL at blanks, parentheses and commas. Quoted names are words; texts are left out.
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
