package syntax

import (
	"maps"
	"slices"
	"strings"
)

// The words that are names only in quotes.
var reserved = words(`all and any array as asc between by case cast collate cross desc distinct else end except exists fetch for
	from full group having ilike in inner intersect into is join lateral left like limit natural not null offset on or order outer
	qualify right select similar some then true false union using when where window with
	current_date current_time current_timestamp current_user localtime localtimestamp session_user`)

// Keywords lists the words that are names only in quotes, in lower case, ordered by name.
func Keywords() []string { return slices.Sorted(maps.Keys(reserved)) }

// The words that have a meaning in some places and may be names in others.
var contextual = words(`cube date escape extract filter first following grouping interval last materialized nulls over partition preceding
	range rollup row rows sets timestamp to unbounded values within`)

// Words lists all words of queries, in lower case, ordered by name: keywords, and words that may be names elsewhere.
func Words() []string { return slices.Sorted(maps.Keys(merged(reserved, contextual))) }

func merged(sets ...map[string]bool) map[string]bool {
	all := map[string]bool{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

// unsupported maps words of SQL that are not supported here to what to write instead.
var unsupported = map[string]string{
	"collate":       "texts compare by their bytes",
	"into":          "answers come to the client only; leave INTO out",
	"for":           "nothing is locked or changed here",
	"xor":           "write (a AND NOT b) OR (b AND NOT a)",
	"array":         "write IN (…)",
	"any":           "write x = ANY(ARRAY[…]), x = ANY(SELECT …) or x IN (…)",
	"some":          "write x IN (…)",
	"option":        "leave it out; it is for one database only",
	"tablesample":   "leave it out; all rows are read",
	"pivot":         "write it behind a query in parentheses, (SELECT …) PIVOT (COUNT(x) FOR y IN (1, 2))",
	"unpivot":       "write a UNION ALL of the columns",
	"apply":         "write a JOIN",
	"asof":          "write a JOIN and ROW_NUMBER() OVER (…)",
	"semi":          "write WHERE x IN (SELECT …)",
	"anti":          "write WHERE x NOT IN (SELECT …)",
	"positional":    "write JOIN … ON",
	"minus":         "write EXCEPT",
	"straight_join": "write JOIN",
	"lateral":       "write (SELECT … ORDER BY … LIMIT 1) in SELECT for one value; or group by the patient in a derived table, and join it on the patient",
	"values":        "write it in place of a table, (VALUES (1, 'a'), (2, 'b')) AS v (x, y), or in WITH",
}

// unsupportedSymbols maps symbols that have a meaning elsewhere to what to write here.
var unsupportedSymbols = map[string]string{
	"&&": "write AND", "==": "write =", "<=>": "write IS NOT DISTINCT FROM", "!": "write NOT",
	"@": "write a parameter as :name",
	"^": "write POWER(x, y)", "&": "", "|": "", "<<": "", ">>": "", "->": "", "->>": "", "{": "", "}": "",
	"#": "start a comment with --",
	"[": `quote a name as "name"`, "]": "", "\\": "", ":=": "there are no variables",
	"=>": "to compare, write >=; only table functions take named arguments",
	"~~": "write LIKE", "~~*": "write ILIKE", "!~~": "write NOT LIKE", "!~~*": "write NOT ILIKE",
	"/*+": "a hint stands after the first word of the query, SELECT", ":": "write a parameter as :name",
}

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}
