package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/coordinator/httpapi"
)

func TestTable(t *testing.T) {
	var a httpapi.Answer
	if err := json.Unmarshal([]byte(`{
		"columns": [{"name": "sex", "type": "text"}, {"name": "n", "type": "int", "noisy": true}, {"name": "mean", "type": "float", "noisy": true}],
		"rows": [
			["F", {"value": 1041, "low": 1020, "high": 1062}, {"value": 54.23456, "low": 54.1, "high": 54.36912}],
			[null, {"value": -3, "low": 0, "high": 18}, {"value": null, "low": null, "high": null}],
			["évil\u001b[31m", {"value": 7, "low": null, "high": null}, {"value": 0.0123, "low": 0.001, "high": 0.0987}]],
		"query": "q", "study": "s", "confidence": 0.95, "cost": {"mechanism": "laplace", "epsilon": 0.5, "delta": 1e-9},
		"remaining": {"epsilon": 1.23456, "delta": 5e-7, "fraction": 0.256}, "stored": false,
		"hospitals": {"answered": ["a", "b"], "missing": [{"name": "c", "code": "NOT_JOINED", "why": "is away"}]}, "warnings": ["take care"]}`), &a); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := writeTable(&out, &a); err != nil {
		t.Fatal(err)
	}
	want := `sex                 n                  mean
─────────  ──────────  ────────────────────
F           1041 ± 21          54.23 ± 0.13
NULL       -3 [0, 18]                  NULL
évil�[31m       7 ± ?  0.012 [0.001, 0.099]

3 rows from 2 hospitals; ± holds the value within limits and bounds, with 95 % confidence
missing: c is away (NOT_JOINED)
warning: take care
cost: epsilon 0.5, delta 1e-09 (laplace noise)
left of study s: 74.4 %, the price of one query of epsilon 1.235, delta 5e-07
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
