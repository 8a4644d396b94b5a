package planner

import "testing"

// Different ways to write one question must share the stored answer (privacy rule 9).
func TestRewritingsShareAFingerprint(t *testing.T) {
	for _, same := range [][]string{
		{
			"SELECT gender, COUNT(*) FROM patient WHERE admissionweight > 50 AND unittype = 'MICU' GROUP BY gender",
			"select p.gender as sex, count(*) n from patient as p where 'MICU' = p.unittype and 50 < p.admissionweight group by 1 order by n desc limit 2",
			"SELECT COUNT(*) FROM patient x -- a comment\n WHERE x.unittype = 'MICU' AND (x.admissionweight > 50) AND x.admissionweight > 50 GROUP BY gender HAVING COUNT(*) > 3",
		},
		{
			"SELECT AVG(admissionweight + admissionheight), COUNT(admissionweight + admissionheight) FROM patient",
			"SELECT COUNT(admissionheight + admissionweight) / 2, AVG(admissionheight + admissionweight) FROM patient",
		},
		{
			"SELECT gender, unittype, COUNT(*) FROM patient WHERE unittype IN ('MICU', 'SICU') GROUP BY gender, unittype",
			"SELECT unittype, gender, COUNT(*) FROM patient WHERE unittype IN ('SICU', 'MICU', 'SICU') GROUP BY unittype, gender",
		},
		{
			"SELECT COUNT(*) FROM patient p JOIN hospital h ON p.hospitalid = h.hospitalid",
			"SELECT COUNT(*) FROM patient JOIN hospital ON hospital.hospitalid = patient.hospitalid",
		},
	} {
		var want string
		for i, sql := range same {
			p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
			if err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if i == 0 {
				want = p.Fingerprint()
			} else if p.Fingerprint() != want {
				t.Errorf("%q is another question than %q", sql, same[0])
			}
		}
	}
}

// Questions that differ in meaning or in cost must not share an answer.
func TestDifferentQuestionsDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, sql := range []string{
		"SELECT COUNT(*) FROM patient", "SELECT COUNT(gender) FROM patient", "SELECT COUNT(DISTINCT patient) FROM patient",
		"SELECT COUNT(*) FROM patient WHERE admissionweight > 50", "SELECT COUNT(*) FROM patient WHERE admissionweight >= 50",
		"SELECT COUNT(*) FROM patient WHERE admissionweight > 50 OR gender = 'Male'", "SELECT COUNT(*) FROM patient WHERE admissionweight > 50 AND gender = 'Male'",
		"SELECT COUNT(*) FROM patient WHERE admissionweight - admissionheight > 0", "SELECT COUNT(*) FROM patient WHERE admissionheight - admissionweight > 0",
		"SELECT SUM(admissionweight) FROM patient", "SELECT AVG(admissionweight) FROM patient",
	} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if other, twice := seen[p.Fingerprint()]; twice {
			t.Errorf("%q and %q share an answer", sql, other)
		}
		seen[p.Fingerprint()] = sql
	}
	a, _ := Build(Query{SQL: "SELECT COUNT(*) FROM patient", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
	b, _ := Build(Query{SQL: "SELECT COUNT(*) FROM patient", Ask: Ask{Epsilon: 2, Delta: 1e-6}}, federation(t, "eicu"))
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("an answer bought at epsilon 1 serves for epsilon 2")
	}
}

// FuzzBuild checks that any text gives a plan or an *Error, never a panic. A plan's fragment, encoded and decoded,
// passes the node's check.
func FuzzBuild(f *testing.F) {
	for _, sql := range []string{
		"SELECT COUNT(*) FROM patient", "SELECT gender, AVG(CAST(age AS int)) FROM patient GROUP BY 1 ORDER BY 2 DESC LIMIT 1 OFFSET 1;",
		"SELECT CASE WHEN a THEN 'x' END FROM t LEFT JOIN u ON t.a = u.b", "SELECT COUNT(DISTINCT CASE WHEN gender = 'a''b' THEN uniquepid END) FROM patient",
		"SELECT DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00', `x`.\"y\", -.5e3, NOT NULL IS TRUE", "SELECT /* x */ 1 -- y\n FROM (a, b) JOIN c",
	} {
		f.Add(sql)
	}
	for _, sql := range goldenQueries(f) {
		f.Add(sql)
	}
	fed := federation(f, "eicu")
	f.Fuzz(func(t *testing.T, sql string) {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
		if err != nil {
			if _, ok := err.(*Error); !ok { //nolint:errorlint // Build promises the type itself
				t.Fatalf("%T: %v", err, err)
			}
			_ = err.(*Error).Caret(sql) //nolint:errorlint // as above
			return
		}
		checkWire(t, p, fed)
	})
}
