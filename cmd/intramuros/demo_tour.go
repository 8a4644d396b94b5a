package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/planner"
)

const rule = "────────────────────────────────────────────────────────────────────────"

// question is one step of the tour.
type question struct {
	words string
	sql   string
	note  string // printed below the SQL
	exact string // the same in DuckDB's SQL over the union of the hospitals, with the answer's columns
	// The contribution limits, if the catalog's do not fit; 0: the catalog's.
	maxGroups, maxRows int
}

var tourQuestions = []question{
	{
		words: "How many patients does each hospital know?",
		sql: `SELECT hospital, COUNT(*) AS patients
FROM person
GROUP BY hospital
ORDER BY hospital`,
		exact: `SELECT hospital, count(*) FROM person GROUP BY 1`,
	},
	{
		words: "How common is hypertension, by age?",
		sql: `SELECT FLOOR((2024 - p.year_of_birth) / 20) * 20 AS age_from,
       COUNT(DISTINCT patient) AS patients,
       100.0 * COUNT(DISTINCT c.person_id) / COUNT(DISTINCT patient) AS percent
FROM person p
LEFT JOIN condition_era c ON c.person_id = p.person_id AND c.condition_concept_id = 320128
WHERE p.year_of_birth BETWEEN 1925 AND 2024
GROUP BY age_from
ORDER BY age_from`,
		exact: `SELECT floor((2024 - year_of_birth) / 20) * 20, count(DISTINCT (p.hospital, p.person_id)),
       100.0 * count(DISTINCT CASE WHEN c.person_id IS NOT NULL THEN (p.hospital, p.person_id) END) / count(DISTINCT (p.hospital, p.person_id))
FROM person p
LEFT JOIN condition_era c ON c.hospital = p.hospital AND c.person_id = p.person_id AND c.condition_concept_id = 320128
WHERE year_of_birth BETWEEN 1925 AND 2024 GROUP BY 1`,
	},
	{
		words: "Is HbA1c higher at the visits that record a type 2 diabetes?",
		sql: `SELECT CASE WHEN d.person_id IS NULL THEN 'not recorded' ELSE 'recorded' END AS diabetes,
       AVG(CLAMP(m.value_as_number, 4, 14)) AS hba1c
FROM measurement m
LEFT JOIN condition_occurrence d
  ON d.person_id = m.person_id AND d.visit_occurrence_id = m.visit_occurrence_id
  AND d.condition_concept_id = 201826
WHERE m.measurement_concept_id = 3004410
GROUP BY diabetes`,
		exact: `SELECT CASE WHEN d.person_id IS NULL THEN 'not recorded' ELSE 'recorded' END, avg(least(greatest(m.value_as_number, 4), 14))
FROM measurement m
LEFT JOIN condition_occurrence d ON d.hospital = m.hospital AND d.person_id = m.person_id
  AND d.visit_occurrence_id = m.visit_occurrence_id AND d.condition_concept_id = 201826
WHERE m.measurement_concept_id = 3004410 AND m.value_as_number IS NOT NULL GROUP BY 1`,
		note:    "CLAMP gives the bounds of a plausible result, so that one patient cannot move the mean far; 2 results of a patient count in full.",
		maxRows: 2, maxGroups: 2,
	},
	{
		words: "What is the mean systolic pressure of men and of women?",
		sql: `SELECT CASE p.gender_concept_id WHEN 8532 THEN 'women' ELSE 'men' END AS sex,
       AVG(CLAMP(m.value_as_number, 60, 220)) AS systolic
FROM measurement m
JOIN person p ON p.person_id = m.person_id
WHERE m.measurement_concept_id = 3004249 AND p.gender_concept_id IN (8507, 8532)
GROUP BY sex`,
		exact: `SELECT CASE gender_concept_id WHEN 8532 THEN 'women' ELSE 'men' END, avg(least(greatest(value_as_number, 60), 220))
FROM measurement JOIN person USING (hospital, person_id)
WHERE measurement_concept_id = 3004249 AND value_as_number IS NOT NULL AND gender_concept_id IN (8507, 8532) GROUP BY 1`,
		maxRows: 10,
	},
	{
		words: "In which months is influenza diagnosed?",
		sql: `SELECT MONTH(condition_start_date) AS month, COUNT(DISTINCT patient) AS patients
FROM condition_occurrence
WHERE condition_concept_id = 4266367
GROUP BY month
ORDER BY month`,
		exact: `SELECT month(condition_start_date), count(DISTINCT (hospital, person_id))
FROM condition_occurrence WHERE condition_concept_id = 4266367 GROUP BY 1`,
		note:      "All twelve months are shown, also those without a patient: nobody learns which months are empty.",
		maxGroups: 2,
	},
	{
		words: "What share of the patients with heart failure has died?",
		sql: `SELECT COUNT(DISTINCT c.person_id) AS patients,
       COUNT(DISTINCT d.person_id) AS died,
       100.0 * COUNT(DISTINCT d.person_id) / COUNT(DISTINCT c.person_id) AS percent
FROM condition_era c
LEFT JOIN death d ON d.person_id = c.person_id
WHERE c.condition_concept_id = 316139`,
		exact: `SELECT count(*), count(*) FILTER (WHERE died), 100.0 * count(*) FILTER (WHERE died) / count(*)
FROM (SELECT DISTINCT hospital, person_id, d.person_id IS NOT NULL AS died
      FROM condition_era LEFT JOIN death d USING (hospital, person_id) WHERE condition_concept_id = 316139)`,
	},
	{
		words: "How many patients with type 2 diabetes have had metformin?",
		sql: `SELECT COUNT(DISTINCT c.person_id) AS diabetics,
       COUNT(DISTINCT d.person_id) AS metformin,
       100.0 * COUNT(DISTINCT d.person_id) / COUNT(DISTINCT c.person_id) AS percent
FROM condition_era c
LEFT JOIN drug_era d ON d.person_id = c.person_id AND d.drug_concept_id = 1503297
WHERE c.condition_concept_id = 201826`,
		exact: `SELECT count(*), count(*) FILTER (WHERE treated), 100.0 * count(*) FILTER (WHERE treated) / count(*)
FROM (SELECT DISTINCT hospital, person_id, (hospital, person_id) IN (SELECT (hospital, person_id) FROM drug_era WHERE drug_concept_id = 1503297) AS treated
      FROM condition_era WHERE condition_concept_id = 201826)`,
	},
	{
		words: "Which diagnoses do most patients have?",
		sql: `SELECT c.concept_name AS diagnosis, COUNT(DISTINCT patient) AS patients
FROM condition_occurrence o
JOIN concept c ON c.concept_id = o.condition_concept_id
GROUP BY diagnosis
ORDER BY patients DESC
LIMIT 6`,
		exact: `SELECT concept_name, count(DISTINCT (o.hospital, person_id))
FROM condition_occurrence o JOIN concept c ON c.hospital = o.hospital AND concept_id = condition_concept_id GROUP BY 1`,
		note: "Nobody declared these groups: one is shown only if a hospital has so many patients of it that no single one can be the reason.\n  Which groups a hospital has leaves it covered by noise as well.",
	},
}

// A question that is refused, one that is explained, and the first one in other words.
const (
	tourRefused = `SELECT person_id, value_as_number
FROM measurement
WHERE measurement_concept_id = 3004410`
	tourExplained = `SELECT COUNT(*) AS stays
FROM visit_occurrence
WHERE visit_concept_id = 9201 AND YEAR(visit_start_date) = 2024`
	tourRepeated = `select hospital, count(*) as patients from person group by 1 order by 1`
)

// tour asks all questions. It is an error if an answer is missing, or if a question is answered that should be refused.
func (d *demo) tour(ctx context.Context) error {
	d.printf("\nThe study is sealed: each hospital adds its own noise, and a mask, before its numbers leave it.\n")
	d.printf("Beside each noisy number stands the exact one, which no coordinator could tell: these patients are synthetic.\n")
	for i, q := range tourQuestions {
		d.pose(fmt.Sprintf("%d. %s", i+1, q.words), q.sql)
		if err := d.answer(ctx, q); err != nil {
			return err
		}
	}
	if err := d.refuse(ctx); err != nil {
		return err
	}
	d.pose("What would this one cost, and what would each hospital run? `intramuros explain` tells, and spends nothing.", tourExplained)
	ask := d.asking
	ask.request.SQL = tourExplained
	if err := d.indented(func(out *bytes.Buffer) error { return ask.explainQuery(ctx, "text", out) }); err != nil {
		return err
	}
	d.pose("Once more the first question, spelled otherwise. The data are the same, so the answer is, and it costs nothing.", tourRepeated)
	if err := d.answer(ctx, question{sql: tourRepeated, exact: tourQuestions[0].exact}); err != nil {
		return err
	}
	return d.search(ctx)
}

// pose prints a question.
func (d *demo) pose(words, sql string) { d.printf("\n%s\n%s\n\n%s\n\n", rule, words, indent(sql)) }

func (d *demo) answer(ctx context.Context, q question) error {
	ask := d.asking
	ask.request.SQL, ask.request.MaxGroups, ask.request.MaxRows = q.sql, q.maxGroups, q.maxRows
	var flags []string
	if q.maxGroups > 0 {
		flags = append(flags, fmt.Sprintf("--max-groups %d", q.maxGroups))
	}
	if q.maxRows > 0 {
		flags = append(flags, fmt.Sprintf("--max-rows %d", q.maxRows))
	}
	if len(flags) > 0 {
		d.printf("  with %s\n\n", strings.Join(flags, " "))
	}
	answer, err := ask.answer(ctx, d.messages)
	if err != nil {
		return err
	}
	if answer, err = d.withExact(ctx, answer, q.exact); err != nil {
		return err
	}
	if err := d.indented(func(out *bytes.Buffer) error { return writeTable(out, answer) }); err != nil {
		return err
	}
	if q.note != "" {
		d.printf("\n  %s\n", q.note)
	}
	return nil
}

// refuse shows how a query for rows of patients is refused.
func (d *demo) refuse(ctx context.Context) error {
	d.pose("May I see the patients themselves?", tourRefused)
	ask := d.asking
	ask.request.SQL = tourRefused
	response, err := ask.send(ctx, "POST", "/v1/query", "application/json", ask.request)
	if err == nil {
		response.Body.Close()
		return errors.New("a query for rows of patients was answered")
	}
	var refused *serverError
	if !errors.As(err, &refused) || string(refused.refusal.Code) != string(planner.CodeRowLevel) {
		return ask.explain(ctx, err)
	}
	d.printf("%s\n", indent(ask.explain(ctx, err).Error()))
	return nil
}

func (d *demo) indented(write func(*bytes.Buffer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	for line := range strings.Lines(strings.TrimRight(b.String(), "\n") + "\n") {
		if line != "\n" {
			line = "  " + line
		}
		d.printf("%s", line)
	}
	return nil
}

// missing is an error that names the hospitals that the coordinator does not see yet.
func (d *demo) missing(ctx context.Context) error {
	response, err := d.asking.send(ctx, "GET", "/v1/hospitals", "application/json", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var f httpapi.Federation
	if err := json.NewDecoder(response.Body).Decode(&f); err != nil {
		return err
	}
	var absent []string
	for _, h := range f.Hospitals {
		if !h.Present {
			absent = append(absent, h.Name+" "+h.Why)
		}
	}
	if len(absent) > 0 {
		return errors.New(strings.Join(absent, "; "))
	}
	return nil
}
