-- Everyone in the federation, with what stays the same over their visits.
CREATE TABLE patient AS
WITH
-- Age in bands of five years and the cumulative share of the population,
-- after the French pyramid of 2024 (rounded).
pyramid(band, low, high) AS (
    SELECT band, lag(total, 1, 0) OVER (ORDER BY band) / 99.7, total / 99.7
    FROM (SELECT band, sum(share) OVER (ORDER BY band)::DOUBLE AS total
          FROM (VALUES (0, 5.0), (5, 5.7), (10, 6.2), (15, 6.2), (20, 5.9), (25, 5.6), (30, 5.9),
                       (35, 6.1), (40, 6.3), (45, 6.1), (50, 6.7), (55, 6.5), (60, 6.2), (65, 5.7),
                       (70, 5.3), (75, 4.2), (80, 2.6), (85, 2.0), (90, 1.1), (95, 0.4)) AS v(band, share))
),
assigned AS (
    SELECT pseudonym(i) AS person_id, s.site AS home, s.tilt, s.bmi_shift, s.smoking,
           CASE WHEN sites > 1 AND uniform(pseudonym(i), 0, 'shared') < 0.03
                THEN (s.site - 1 + 1 + floor(uniform(pseudonym(i), 0, 'other') * (sites - 1))::INTEGER) % sites + 1
           END AS other
    FROM range(1, getvariable('patients') + 1) AS t(i), (SELECT count(*)::INTEGER AS sites FROM site)
    JOIN site s ON uniform(pseudonym(i), 0, 'home') >= s.low AND uniform(pseudonym(i), 0, 'home') < s.high
),
born AS (
    SELECT *, make_date(2024 - years, 1, 1) + floor(365 * uniform(person_id, 0, 'birthday'))::INTEGER AS birth,
           uniform(person_id, 0, 'sex')
               < CASE WHEN years < 25 THEN 0.488 WHEN years < 60 THEN 0.51 WHEN years < 75 THEN 0.53
                      WHEN years < 85 THEN 0.58 ELSE 0.67 END AS female
    FROM (SELECT a.*, p.band + floor(5 * uniform(person_id, 0, 'year'))::INTEGER AS years
          FROM assigned a
          JOIN pyramid p ON pow(uniform(person_id, 0, 'band'), a.tilt) >= p.low
                        AND pow(uniform(person_id, 0, 'band'), a.tilt) < p.high)
),
-- Mortality after Gompertz: the yearly hazard doubles about every eight years.
lifespan AS (
    SELECT *, greatest(birth, DATE '2019-01-01') AS from_date,
           greatest(birth, DATE '2019-01-01') + 1
               + floor(least(30, -ln(1 - uniform(person_id, 0, 'death')) / (0.0003 * exp(0.085 * (years - 20)))) * 365.25)::INTEGER AS end_of_life
    FROM born
),
body AS (
    SELECT *, CASE WHEN end_of_life <= DATE '2024-12-31' THEN end_of_life END AS death,
           least(end_of_life, DATE '2024-12-31') AS to_date,
           CASE WHEN years < 18 THEN clamp(15 + 0.38 * years + 2 * normal(person_id, 0, 'bmi'), 12, 38)
                ELSE clamp(exp(ln(23.4 + bmi_shift + 0.04 * least(years, 70)) + 0.17 * normal(person_id, 0, 'bmi')), 15, 60)
           END AS bmi,
           CASE WHEN years < 10 THEN 0.75 + 0.055 * years WHEN years < 18 THEN 1.3 + 0.045 * (years - 10)
                WHEN female THEN 1.63 + 0.065 * normal(person_id, 0, 'height')
                ELSE 1.76 + 0.07 * normal(person_id, 0, 'height') END AS height,
           CASE WHEN years < 16 THEN 'never'
                WHEN uniform(person_id, 0, 'smoking') < smoking * CASE WHEN years < 65 THEN 0.27 ELSE 0.11 END THEN 'current'
                WHEN uniform(person_id, 0, 'smoked') < 0.3 THEN 'former'
                ELSE 'never' END AS tobacco
    FROM lifespan
),
diabetic AS (
    SELECT *, years >= 20 AND uniform(person_id, 0, 'diabetes')
                  < logistic(-6.0 + 0.06 * least(years, 75) + 0.13 * (bmi - 25)) AS diabetes
    FROM body
),
ill AS (
    SELECT *,
        years >= 20 AND uniform(person_id, 0, 'hypertension')
            < logistic(-5.0 + 0.062 * least(years, 85) + 0.09 * (bmi - 25) + 0.5 * diabetes::INTEGER) AS hypertension
    FROM diabetic
),
chronic AS (
    SELECT *, list_filter([
        {'concept': 201826, 'has': diabetes, 'before': 12},
        {'concept': 320128, 'has': hypertension, 'before': 12},
        {'concept': 316139, 'has': years >= 40 AND uniform(person_id, 0, 'heart failure')
            < logistic(-9.2 + 0.085 * years + 0.7 * hypertension::INTEGER), 'before': 4},
        {'concept': 255573, 'has': years >= 40 AND uniform(person_id, 0, 'copd')
            < (years - 30) * CASE tobacco WHEN 'current' THEN 0.0045 WHEN 'former' THEN 0.003 ELSE 0.0004 END, 'before': 8},
        {'concept': 317009, 'has': uniform(person_id, 0, 'asthma') < CASE WHEN years < 18 THEN 0.1 ELSE 0.06 END, 'before': 10},
        {'concept': 46271022, 'has': years >= 30 AND uniform(person_id, 0, 'kidney')
            < logistic(-7.6 + 0.065 * years + 0.8 * diabetes::INTEGER + 0.4 * hypertension::INTEGER), 'before': 6},
        {'concept': 4112853, 'has': female AND years >= 30 AND uniform(person_id, 0, 'breast cancer') < 0.0009 * (years - 25), 'before': 5},
        {'concept': 440383, 'has': years >= 15 AND uniform(person_id, 0, 'depression') < CASE WHEN female THEN 0.1 ELSE 0.06 END, 'before': 7}
    ], lambda d: d.has) AS diseases
    FROM ill
)
SELECT person_id, home, other, female, birth, years, from_date, to_date, death, bmi, height, tobacco, hypertension,
    list_transform(diseases, lambda d: {
        'concept': d.concept,
        'since': greatest(birth + 30, to_date - floor(d.before * 365 * uniform(person_id, d.concept, 'onset'))::INTEGER)
    }) AS chronic,
    CASE WHEN diabetes THEN to_date - floor(12 * 365 * uniform(person_id, 201826, 'onset'))::INTEGER END AS diabetic_since,
    -- One visit at least (two where two hospitals share the patient), more with age and illness.
    least(28, CASE WHEN other IS NULL THEN 1 ELSE 2 END + floor(
        -ln(1 - uniform(person_id, 0, 'visits')) * (1.4 + 0.055 * years + 1.4 * len(diseases))
        * greatest(0.2, date_diff('day', from_date, to_date) / 2191.0)))::INTEGER AS visits
FROM chronic
ORDER BY person_id;
