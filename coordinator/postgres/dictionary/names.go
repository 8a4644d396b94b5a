package dictionary

import (
	_ "embed" // schema.sql
	"strings"

	"github.com/intramuros/intramuros/internal/sqltoken"
)

// About reports whether a statement is about the catalog rather than about patients: it names a system catalog, or no
// table at all.
func About(tokens []sqltoken.Token) bool {
	from := false
	for i, t := range tokens {
		name := t.Name()
		if i > 0 && tokens[i-1].Is(".") && name != "" {
			continue // a column's name, or decided by what precedes it
		}
		if name == "pg_catalog" || name == "information_schema" || relations[name] || strings.HasPrefix(name, "pg_") {
			return true
		}
		from = from || t.Is("from")
	}
	return !from
}

// builtins are harmless functions that mean the same in DuckDB.
var builtins = set(`count sum min max coalesce nullif lower upper length char_length substring substr trim ltrim rtrim replace concat array_agg string_agg array_to_string
	string_to_array array_length cardinality unnest generate_series generate_subscripts row_number rank greatest least abs round position strpos left right split_part now
	bool_or bool_and every cast extract array_position array_append array_cat regexp_replace mod`)

// renamed maps functions to DuckDB's names of them.
var renamed = map[string]string{"json_build_object": "CAST(json_object"}

// keywords may stand before a parenthesis without being functions.
var keywords = set(`select in and or not on as values from where any all some exists array case when then else union intersect except over filter by using join lateral distinct
	within having with materialized recursive between like ilike is limit offset set interval end order cross left right full inner outer similar operator union row`)

// words are reserved in DuckDB, but names in PostgreSQL.
var words = set("at asof anti semi positional pivot unpivot qualify lambda summarize describe")

//go:embed schema.sql
var schema string

// relations and functions are the names that schema.sql declares.
var relations, functions = declared()

func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(words) {
		all[w] = true
	}
	return all
}

// declared finds the names that schema.sql declares in the schema pgc.
func declared() (relations, functions map[string]bool) {
	relations, functions = map[string]bool{}, map[string]bool{}
	tokens := sqltoken.Tokens(schema)
	for i := 0; i+4 < len(tokens); i++ {
		if !tokens[i].Is("create") || !tokens[i+2].Is("pgc") {
			continue
		}
		switch name := tokens[i+4].Name(); {
		case tokens[i+1].Is("macro"):
			functions[name] = true
		case tokens[i+1].Is("table") || tokens[i+1].Is("view"):
			relations[name] = true
		}
	}
	return relations, functions
}

// clauses begin with these words.
var clauses = set("select from where group having order limit union intersect except")

// series are functions that return a column. PostgreSQL names the column by the alias.
var series = set("generate_series generate_subscripts")

// vectorColumns are counted from 0 in PostgreSQL, while arrays are counted from 1.
var vectorColumns = set("indkey indclass indcollation indoption proargtypes")

// functionColumns hold a function's name, or - for none, which PostgreSQL reads as the number 0.
var functionColumns = set("typinput typoutput typreceive typsend typmodin typmodout typanalyze typsubscript amhandler oprcode")

const (
	toClass = "pgc.to_class"
	toType  = "pgc.to_type"
)

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
