package coordinator

// wording is a question in the words of one catalog.
type wording struct {
	sql string
	// rows is the SQL for the question's rows over the union of the hospitals: hospital, patient, k (the group's keys, or
	// the number of the answer's column, as a text; '' if there is none), and the values x and y.
	rows string
	// of says how the exact answer, and an expert's error, follow from the rows.
	of estimand
}

// inquiry is one of the twenty questions.
type inquiry struct {
	name       string
	eicu, omop wording
}

// The length of stay and the age, in eICU and in OMOP.
const (
	eicuDays = "least(greatest(unitdischargeoffset / 1440.0, 0), 60)"
	eicuAge  = "try_cast(age AS BIGINT)"
	omopDays = "least(greatest(date_diff('day', visit_start_date, visit_end_date), 0), 60)"
	omopAge  = "least(greatest(2024 - year_of_birth, 0), 120)"

	eicuRows = "SELECT hospital, uniquepid AS patient, '' AS k"
	omopRows = "SELECT hospital, person_id AS patient, '' AS k"

	omopStays = " FROM visit_occurrence WHERE visit_concept_id = 9201"
)

// inquiries are twenty questions that clinical researchers begin with, each in the plainest SQL, with the catalog's own
// limits.
var inquiries = []inquiry{
	{
		"patients",
		wording{"SELECT COUNT(DISTINCT patient) FROM patient", "SELECT DISTINCT hospital, uniquepid AS patient, '' AS k FROM patient", counted},
		wording{"SELECT COUNT(*) FROM person", omopRows + " FROM person", counted},
	},
	{
		"stays",
		wording{"SELECT COUNT(*) FROM patient", eicuRows + " FROM patient", counted},
		wording{"SELECT COUNT(*)" + omopStays, omopRows + omopStays, counted},
	},
	{
		"stays by kind",
		wording{"SELECT unittype, COUNT(*) FROM patient GROUP BY 1", "SELECT hospital, uniquepid AS patient, unittype AS k FROM patient", counted},
		wording{
			"SELECT visit_concept_id, COUNT(*) FROM visit_occurrence WHERE visit_concept_id IN (9201, 9202, 9203) GROUP BY 1",
			"SELECT hospital, person_id AS patient, visit_concept_id::VARCHAR AS k FROM visit_occurrence", counted,
		},
	},
	{
		"patients by sex",
		wording{
			"SELECT gender, COUNT(DISTINCT patient) FROM patient WHERE gender IN ('Female', 'Male') GROUP BY 1",
			"SELECT DISTINCT hospital, uniquepid AS patient, gender AS k FROM patient WHERE gender IN ('Female', 'Male')", counted,
		},
		wording{
			"SELECT gender_concept_id, COUNT(*) FROM person WHERE gender_concept_id IN (8507, 8532) GROUP BY 1",
			"SELECT hospital, person_id AS patient, gender_concept_id::VARCHAR AS k FROM person", counted,
		},
	},
	{
		"patients by decade of age",
		wording{
			"SELECT CLAMP(CAST(age AS int), 0, 89) DIV 10 AS decade, COUNT(DISTINCT patient) FROM patient WHERE CAST(age AS int) >= 0 GROUP BY 1",
			"SELECT DISTINCT hospital, uniquepid AS patient, (least(" + eicuAge + ", 89) // 10)::VARCHAR AS k FROM patient WHERE " + eicuAge + " >= 0", counted,
		},
		wording{
			"SELECT CLAMP(2024 - year_of_birth, 0, 99) DIV 10 AS decade, COUNT(*) FROM person GROUP BY 1",
			"SELECT hospital, person_id AS patient, (least(greatest(2024 - year_of_birth, 0), 99) // 10)::VARCHAR AS k FROM person", counted,
		},
	},
	{
		"mean age",
		wording{
			"SELECT AVG(CLAMP(CAST(age AS int), 0, 90)) FROM patient",
			"SELECT hospital, uniquepid AS patient, '' AS k, " + eicuAge + " AS x FROM patient WHERE " + eicuAge + " IS NOT NULL", mean(0, 90),
		},
		wording{"SELECT AVG(CLAMP(2024 - year_of_birth, 0, 120)) FROM person", omopRows + ", " + omopAge + " AS x FROM person", mean(0, 120)},
	},
	{
		"spread of age",
		wording{
			"SELECT STDDEV(CLAMP(CAST(age AS int), 0, 90)) FROM patient",
			"SELECT hospital, uniquepid AS patient, '' AS k, " + eicuAge + " AS x FROM patient WHERE " + eicuAge + " IS NOT NULL", spread(0, 90),
		},
		wording{"SELECT STDDEV(CLAMP(2024 - year_of_birth, 0, 120)) FROM person", omopRows + ", " + omopAge + " AS x FROM person", spread(0, 120)},
	},
	{
		"median age",
		wording{
			"SELECT MEDIAN(CLAMP(CAST(age AS int), 0, 90)) FROM patient",
			"SELECT hospital, uniquepid AS patient, '' AS k, " + eicuAge + " AS x FROM patient WHERE " + eicuAge + " IS NOT NULL", quantile(0.5, 0, 90, 1),
		},
		wording{"SELECT MEDIAN(CLAMP(2024 - year_of_birth, 0, 120)) FROM person", omopRows + ", " + omopAge + " AS x FROM person", quantile(0.5, 0, 120, 1)},
	},
	{
		"ages as a histogram",
		wording{
			"SELECT HISTOGRAM(CAST(age AS int), 0, 90, 9) FROM patient",
			"SELECT hospital, uniquepid AS patient, '#' || least(" + eicuAge + " // 10, 8) AS k FROM patient WHERE " + eicuAge + " BETWEEN 0 AND 90", counted,
		},
		wording{
			"SELECT HISTOGRAM(2024 - year_of_birth, 0, 100, 10) FROM person",
			"SELECT hospital, person_id AS patient, '#' || least((2024 - year_of_birth) // 10, 9) AS k FROM person WHERE 2024 - year_of_birth BETWEEN 0 AND 100", counted,
		},
	},
	{
		"share that died",
		wording{
			"SELECT 100.0 * SUM(CASE WHEN hospitaldischargestatus = 'Expired' THEN 1 ELSE 0 END) / COUNT(*) FROM patient",
			eicuRows + ", (coalesce(hospitaldischargestatus, '') = 'Expired')::INTEGER AS x FROM patient", share,
		},
		wording{
			"SELECT 100.0 * COUNT(d.person_id) / COUNT(*) FROM person p LEFT JOIN death d ON d.person_id = p.person_id",
			"SELECT p.hospital, p.person_id AS patient, '' AS k, (d.person_id IS NOT NULL)::INTEGER AS x FROM person p LEFT JOIN death d USING (hospital, person_id)", share,
		},
	},
	{
		"share that died, by group",
		wording{
			"SELECT unittype, 100.0 * SUM(CASE WHEN hospitaldischargestatus = 'Expired' THEN 1 ELSE 0 END) / COUNT(*) FROM patient GROUP BY 1",
			"SELECT hospital, uniquepid AS patient, unittype AS k, (coalesce(hospitaldischargestatus, '') = 'Expired')::INTEGER AS x FROM patient", share,
		},
		wording{
			"SELECT CLAMP(2024 - year_of_birth, 0, 99) DIV 10 AS decade, 100.0 * COUNT(d.person_id) / COUNT(*) FROM person p LEFT JOIN death d ON d.person_id = p.person_id GROUP BY 1",
			"SELECT p.hospital, p.person_id AS patient, (least(greatest(2024 - year_of_birth, 0), 99) // 10)::VARCHAR AS k, (d.person_id IS NOT NULL)::INTEGER AS x FROM person p LEFT JOIN death d USING (hospital, person_id)", share,
		},
	},
	{
		"mean length of stay",
		wording{"SELECT AVG(CLAMP(unitdischargeoffset / 1440.0, 0, 60)) FROM patient", eicuRows + ", " + eicuDays + " AS x FROM patient", mean(0, 60)},
		wording{"SELECT AVG(CLAMP(visit_end_date - visit_start_date, 0, 60))" + omopStays, omopRows + ", " + omopDays + " AS x" + omopStays, mean(0, 60)},
	},
	{
		"mean length of stay, by group",
		wording{
			"SELECT unittype, AVG(CLAMP(unitdischargeoffset / 1440.0, 0, 60)) FROM patient GROUP BY 1",
			"SELECT hospital, uniquepid AS patient, unittype AS k, " + eicuDays + " AS x FROM patient", mean(0, 60),
		},
		wording{
			"SELECT p.gender_concept_id, AVG(CLAMP(v.visit_end_date - v.visit_start_date, 0, 60)) FROM visit_occurrence v JOIN person p ON p.person_id = v.person_id WHERE v.visit_concept_id = 9201 AND p.gender_concept_id IN (8507, 8532) GROUP BY 1",
			"SELECT hospital, person_id AS patient, gender_concept_id::VARCHAR AS k, " + omopDays + " AS x FROM visit_occurrence JOIN person USING (hospital, person_id) WHERE visit_concept_id = 9201", mean(0, 60),
		},
	},
	{
		"median length of stay",
		wording{
			"SELECT MEDIAN(CLAMP(unitdischargeoffset / 1440.0, 0, 60)) FROM patient",
			eicuRows + ", " + eicuDays + " AS x FROM patient", quantile(0.5, 0, 60, 1.0/24),
		},
		wording{
			"SELECT MEDIAN(CLAMP(visit_end_date - visit_start_date, 0, 60))" + omopStays, omopRows + ", " + omopDays + " AS x" + omopStays, quantile(0.5, 0, 60, 1),
		},
	},
	{
		"days of stay in all",
		wording{"SELECT SUM(CLAMP(unitdischargeoffset / 1440.0, 0, 60)) FROM patient", eicuRows + ", " + eicuDays + " AS x FROM patient", total(60)},
		wording{"SELECT SUM(CLAMP(visit_end_date - visit_start_date, 0, 60))" + omopStays, omopRows + ", " + omopDays + " AS x" + omopStays, total(60)},
	},
	{
		"correlation",
		wording{
			"SELECT CORR(admissionheight, admissionweight) FROM patient",
			eicuRows + ", least(admissionheight, 250) AS x, least(admissionweight, 300) AS y FROM patient WHERE admissionheight IS NOT NULL AND admissionweight IS NOT NULL", correlation(0, 250, 0, 300),
		},
		wording{
			"SELECT CORR(CLAMP(2024 - p.year_of_birth, 0, 120), CLAMP(m.value_as_number, 60, 220)) FROM measurement m JOIN person p ON p.person_id = m.person_id WHERE m.measurement_concept_id = 3004249",
			"SELECT hospital, person_id AS patient, '' AS k, " + omopAge + " AS x, least(greatest(value_as_number, 60), 220) AS y FROM measurement JOIN person USING (hospital, person_id) WHERE measurement_concept_id = 3004249 AND value_as_number IS NOT NULL", correlation(0, 120, 60, 220),
		},
	},
	{
		"readings in all",
		wording{"SELECT COUNT(*) FROM vitalaperiodic", "SELECT hospital, uniquepid AS patient, '' AS k FROM vitalaperiodic JOIN patient USING (patientunitstayid)", counted},
		wording{"SELECT COUNT(*) FROM measurement", omopRows + " FROM measurement", counted},
	},
	{
		"mean systolic pressure",
		wording{
			"SELECT AVG(CLAMP(noninvasivesystolic, 60, 220)) FROM vitalaperiodic",
			"SELECT hospital, uniquepid AS patient, '' AS k, least(greatest(noninvasivesystolic, 60), 220) AS x FROM vitalaperiodic JOIN patient USING (patientunitstayid) WHERE noninvasivesystolic IS NOT NULL", mean(60, 220),
		},
		wording{
			"SELECT AVG(CLAMP(value_as_number, 60, 220)) FROM measurement WHERE measurement_concept_id = 3004249",
			omopRows + ", least(greatest(value_as_number, 60), 220) AS x FROM measurement WHERE measurement_concept_id = 3004249 AND value_as_number IS NOT NULL", mean(60, 220),
		},
	},
	{
		"patients by diagnosis, undeclared",
		wording{
			"SELECT apacheadmissiondx, COUNT(DISTINCT patient) FROM patient GROUP BY 1",
			"SELECT DISTINCT hospital, uniquepid AS patient, apacheadmissiondx AS k FROM patient", counted,
		},
		wording{
			"SELECT c.concept_name, COUNT(DISTINCT patient) FROM condition_occurrence o JOIN concept c ON c.concept_id = o.condition_concept_id GROUP BY 1",
			"SELECT DISTINCT o.hospital, person_id AS patient, concept_name AS k FROM condition_occurrence o JOIN concept c ON c.hospital = o.hospital AND concept_id = condition_concept_id", counted,
		},
	},
	{
		"survival",
		wording{
			`SELECT time, survival FROM KAPLAN_MEIER((
				SELECT hospitaldischargeoffset DIV 1440 AS days, hospitaldischargestatus = 'Expired' AS died
				FROM (SELECT uniquepid, hospitaldischargeoffset, hospitaldischargestatus, ROW_NUMBER() OVER (PARTITION BY uniquepid ORDER BY patientunitstayid) AS nr FROM patient) s
				WHERE nr = 1), step => 1, horizon => 60, every => 10)`,
			`SELECT hospital, uniquepid AS patient, '' AS k, greatest(hospitaldischargeoffset // 1440, 0) AS x, coalesce(hospitaldischargestatus = 'Expired', false)::INTEGER AS y
				FROM patient QUALIFY row_number() OVER (PARTITION BY hospital, uniquepid ORDER BY patientunitstayid) = 1`,
			survivalOf(60, 1, 10),
		},
		wording{
			`SELECT time, survival FROM KAPLAN_MEIER((
				SELECT DATEDIFF(day, c.onset, LEAST(d.death_date, o.last_day)) AS days, d.death_date IS NOT NULL AND d.death_date <= o.last_day AS died
				FROM (SELECT person_id, MIN(condition_start_date) AS onset FROM condition_occurrence WHERE condition_concept_id = 255573 GROUP BY person_id) AS c
				JOIN (SELECT person_id, MAX(observation_period_end_date) AS last_day FROM observation_period GROUP BY person_id) AS o ON o.person_id = c.person_id
				LEFT JOIN death d ON d.person_id = c.person_id), step => 30, horizon => 1800, every => 180)`,
			`SELECT hospital, person_id AS patient, '' AS k, date_diff('day', onset, least(coalesce(death_date, last_day), last_day)) AS x, coalesce(death_date <= last_day, false)::INTEGER AS y
				FROM (SELECT hospital, person_id, min(condition_start_date) AS onset FROM condition_occurrence WHERE condition_concept_id = 255573 GROUP BY ALL)
				JOIN (SELECT hospital, person_id, max(observation_period_end_date) AS last_day FROM observation_period GROUP BY ALL) USING (hospital, person_id)
				LEFT JOIN death USING (hospital, person_id)`,
			survivalOf(1800, 30, 180),
		},
	},
}
