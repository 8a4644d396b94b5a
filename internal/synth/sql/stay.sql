-- The visits at one hospital, with what their events depend on. A patient known to two
-- hospitals goes now to one, now to the other.
CREATE TEMP TABLE stay AS
WITH
planned AS (
    -- After the ordinary visits come seven influenza winters, 2018/19 to 2024/25.
    SELECT *, unnest(range(visits + 7)) AS k
    FROM patient
    WHERE home = getvariable('site') OR other = getvariable('site')
),
dated AS (
    SELECT *, k >= visits AS flu,
        CASE WHEN k < visits
             THEN from_date + floor(uniform(person_id, k, 'day') * (date_diff('day', from_date, to_date) + 1))::INTEGER
             ELSE make_date((2019 + k - visits)::INTEGER, 1, 18) + round(17 * normal(person_id, k, 'winter'))::INTEGER
        END AS start,
        CASE WHEN other IS NULL OR k = 0 THEN home
             WHEN k = 1 THEN other
             WHEN uniform(person_id, k, 'where') < 0.6 THEN home ELSE other END AS place
    FROM planned
),
here AS (
    SELECT *, date_diff('day', birth, start) / 365.25 AS age,
        list_transform(list_filter(chronic, lambda c: c.since <= start), lambda c: c.concept) AS present
    FROM dated
    WHERE place = getvariable('site') AND start >= from_date AND start <= to_date
        -- Winter 2020/21 was almost without influenza.
        AND (NOT flu OR uniform(person_id, k, 'influenza')
            < CASE WHEN k - visits = 2 THEN 0.05 ELSE 1 END
              * CASE WHEN years < 12 THEN 0.045 WHEN years >= 65 THEN 0.04 ELSE 0.022 END)
),
kind AS (
    SELECT *, CASE
        WHEN flu THEN CASE WHEN uniform(person_id, k, 'kind') < 0.05 + 0.004 * age THEN 9201
                           WHEN uniform(person_id, k, 'kind') < 0.6 THEN 9203 ELSE 9202 END
        WHEN uniform(person_id, k, 'kind') < 0.07 + 0.0015 * age + 0.03 * len(present) THEN 9201
        WHEN uniform(person_id, k, 'kind') > 0.83 THEN 9203
        ELSE 9202 END AS visit_concept_id,
        uniform(person_id, k, 'reason') AS r, uniform(person_id, k, 'which') AS w
    FROM here
),
reasoned AS (
    SELECT *, CASE
        WHEN flu THEN 4266367
        WHEN visit_concept_id = 9202 THEN
            CASE WHEN r < 0.55 AND len(present) > 0 THEN pick(present, w)
                 WHEN r > 0.75 THEN pick([260139, 4112343, 81151, 200219, 372328], w) END
        WHEN r < 0.30 AND list_contains(present, 316139) THEN 316139
        WHEN r < 0.42 AND list_contains(present, 255573) THEN 255573
        WHEN r < 0.47 AND list_contains(present, 317009) THEN 317009
        WHEN r < 0.55 AND list_contains(present, 4112853) THEN 4112853
        WHEN age >= 45 AND r > 0.94 THEN 4329847
        WHEN age >= 50 AND r > 0.89 THEN 443454
        WHEN age >= 70 AND r > CASE WHEN female THEN 0.78 ELSE 0.84 END THEN 4230399
        WHEN r > CASE WHEN age >= 60 THEN 0.68 ELSE 0.93 END THEN 255848
        WHEN age < 15 THEN pick([260139, 372328, 4278672, 440448], w)
        WHEN age < 45 THEN pick([200219, 440448, 81151, 4278672, 4112343], w)
        ELSE pick([200219, 4278672, 260139, 81151], w) END AS reason
    FROM kind
),
ended AS (
    SELECT *, least(to_date, start + CASE visit_concept_id
        WHEN 9201 THEN least(90, 1 + floor(exp(1.05 + 0.006 * age + 0.85 * normal(person_id, k, 'length')) * site.stay_factor)::INTEGER)
        WHEN 9203 THEN (uniform(person_id, k, 'length') < 0.15)::INTEGER
        ELSE 0 END) AS finish
    FROM reasoned, (SELECT stay_factor FROM site WHERE site = getvariable('site')) AS site
),
-- Some come back within 30 days, for the same reason.
returned AS (
    SELECT * REPLACE (start + gap AS start, least(to_date, start + gap + 1 + floor(6 * uniform(person_id, k, 'again'))::INTEGER) AS finish),
           1 AS again
    FROM (SELECT * REPLACE (finish AS start), 1 + floor(29 * pow(uniform(person_id, k, 'gap'), 1.4))::INTEGER AS gap
          FROM ended
          WHERE visit_concept_id = 9201 AND uniform(person_id, k, 'readmitted')
                < CASE reason WHEN 316139 THEN 0.22 WHEN 255573 THEN 0.18 WHEN 255848 THEN 0.13 ELSE 0.07 END)
    WHERE start + gap <= to_date
),
-- Nobody comes to the hospital while they lie in it.
apart AS (
    SELECT *
    FROM (SELECT *, 0 AS again, 0 AS gap FROM ended UNION ALL BY NAME SELECT * FROM returned)
    QUALIFY coalesce(start >= max(finish) OVER (PARTITION BY person_id ORDER BY start, k, again ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true)
),
numbered AS (
    SELECT row_number() OVER (ORDER BY person_id, start, k, again)::INTEGER AS visit,
           lag(visit_concept_id) OVER w AS before, *
    FROM apart
    WINDOW w AS (PARTITION BY person_id ORDER BY start, k, again)
)
SELECT visit, CASE WHEN before IS NOT NULL THEN visit - 1 END AS preceding,
    person_id, female, birth, from_date, to_date, death, bmi, height, tobacco, hypertension, diabetic_since,
    visit_concept_id, start, finish, age, reason,
    CASE WHEN reason IS NULL THEN present
         ELSE list_concat([reason], list_filter(present, lambda c: c <> reason)) END AS active,
    start + to_minutes(CASE visit_concept_id WHEN 9203 THEN floor(1440 * uniform(visit, 0, 'hour'))::BIGINT
                                             ELSE 480 + floor(600 * uniform(visit, 0, 'hour'))::BIGINT END) AS start_time,
    getvariable('site') * 100 + CASE WHEN visit_concept_id = 9203 THEN 1 WHEN visit_concept_id = 9202 THEN 4
        WHEN reason IN (316139, 4329847, 443454) THEN 3 ELSE 2 END AS care_site_id,
    CASE WHEN uniform(visit, 0, 'no provider') >= 0.1
         THEN getvariable('site') * 1000 + 1 + floor(24 * uniform(visit, 0, 'provider'))::INTEGER END AS provider_id,
    CASE WHEN visit_concept_id = 9201 THEN clamp(1 + date_diff('day', start, finish) // 2, 1, 12) ELSE 1 END AS rounds
FROM numbered
ORDER BY visit;
