-- Each visit has rounds of measurements; a round draws which of the twelve are taken.
-- No join and no sort: the rows stream out in the order of the stays, so that the size is
-- bounded by the disk. An identifier is the place a measurement would have if all were taken.
WITH
slot AS (
    SELECT *, unnest(range(rounds * 12)) AS slot
    FROM (SELECT *, (sum(rounds) OVER (ORDER BY visit ROWS UNBOUNDED PRECEDING) - rounds) * 12 AS base FROM stay),
         (SELECT missing FROM site WHERE site = getvariable('site'))
),
taken AS (
    SELECT *, slot % 12 AS kind, slot // 12 AS round, diabetic_since IS NOT NULL AND diabetic_since <= start AS diabetes
    FROM slot
    WHERE uniform(visit, CASE WHEN slot % 12 = 1 THEN slot - 1 ELSE slot END, 'taken') < CASE slot % 12
        WHEN 0 THEN 0.75 WHEN 1 THEN 0.75 WHEN 2 THEN 0.7
        WHEN 3 THEN CASE WHEN slot < 12 THEN 0.6 ELSE 0.15 END
        WHEN 4 THEN CASE WHEN slot < 12 THEN 0.4 ELSE 0 END
        WHEN 5 THEN CASE WHEN slot >= 12 THEN 0 WHEN diabetic_since <= start THEN 0.5 ELSE 0.1 END
        WHEN 6 THEN CASE WHEN slot >= 12 THEN 0 WHEN age < 30 THEN 0.02 ELSE 0.2 END
        ELSE CASE visit_concept_id WHEN 9201 THEN 0.7 WHEN 9203 THEN 0.5 ELSE 0.2 END END
),
valued AS (
    SELECT *, CASE kind
        WHEN 0 THEN clamp(systolic(age, hypertension, person_id, visit, round), 70, 240)
        WHEN 1 THEN clamp(72 + 0.45 * (systolic(age, hypertension, person_id, visit, round) - 120) + 6 * normal(visit, slot, 'diastolic'), 35, 140)
        WHEN 2 THEN clamp(CASE WHEN age < 12 THEN 115 - 3 * age ELSE 76 END + 12 * normal(visit, slot, 'value'), 35, 190)
        WHEN 3 THEN clamp(bmi * height * height * (1 + 0.02 * normal(visit, slot, 'value')), 2.5, 220)
        WHEN 4 THEN clamp(bmi * (1 + 0.02 * normal(visit, slot, 'value')), 11, 65)
        WHEN 5 THEN CASE WHEN diabetes
            THEN clamp(7.1 + 0.05 * date_diff('day', diabetic_since, start) / 365.25 + 0.9 * normal(person_id, 0, 'hba1c') + 0.4 * normal(visit, slot, 'value'), 5, 15)
            ELSE clamp(5.4 + 0.004 * (age - 50) + 0.2 * normal(person_id, 0, 'hba1c') + 0.15 * normal(visit, slot, 'value'), 4, 6.4) END
        WHEN 6 THEN clamp(122 + 20 * normal(person_id, 0, 'ldl') + 15 * normal(visit, slot, 'value') - 18 * diabetes::INTEGER, 30, 300)
        WHEN 7 THEN clamp(exp(ln(CASE WHEN age < 15 THEN 0.5 WHEN female THEN 0.75 ELSE 0.92 END)
            + 0.7 * list_contains(active, 46271022)::INTEGER + 0.12 * normal(person_id, 0, 'creatinine') + 0.12 * normal(visit, slot, 'value')), 0.2, 15)
        WHEN 8 THEN clamp(CASE WHEN female THEN 13.2 ELSE 14.5 END - 0.02 * greatest(0, age - 50) - 0.8 * (visit_concept_id = 9201)::INTEGER
            + 1.2 * normal(visit, slot, 'value'), 5, 20)
        WHEN 9 THEN clamp(exp(0.9 + 1.1 * (visit_concept_id = 9201)::INTEGER + 1.3 * coalesce(reason IN (255848, 4266367, 440448), false)::INTEGER
            - 0.15 * round + 1.1 * normal(visit, slot, 'value')), 0.3, 500)
        WHEN 10 THEN clamp(4.1 + 0.4 * normal(visit, slot, 'value') + 0.3 * list_contains(active, 46271022)::INTEGER, 2, 8)
        ELSE clamp(CASE WHEN diabetes THEN 155 + 45 * normal(visit, slot, 'value') ELSE 95 + 12 * normal(visit, slot, 'value') END, 40, 600)
        END AS raw
    FROM taken
),
-- A C-reactive protein below 5 is reported as "< 5".
reported AS (
    SELECT *, kind = 9 AND raw < 5 AS below, uniform(visit, slot, 'missing') < missing AS lost
    FROM valued
)
SELECT base + slot + 1 AS measurement_id, person_id,
    [3004249, 3012888, 3027018, 3025315, 3038553, 3004410, 3028288, 3016723, 3000963, 3020460, 3023103, 3004501][kind + 1] AS measurement_concept_id,
    least(finish, start + 2 * round::INTEGER) AS measurement_date,
    CASE WHEN kind >= 5 AND uniform(visit, round, 'no time') < 0.2 THEN NULL
         ELSE least(finish, start + 2 * round::INTEGER) + (start_time - start) END AS measurement_datetime,
    CASE WHEN kind >= 5 THEN 32856 ELSE 32817 END AS measurement_type_concept_id,
    CASE WHEN below AND NOT lost THEN 4171756 END AS operator_concept_id,
    CASE WHEN lost THEN NULL WHEN below THEN 5 ELSE round(raw, [0, 0, 0, 1, 1, 1, 0, 2, 1, 1, 1, 0][kind + 1]) END AS value_as_number,
    CASE WHEN uniform(visit, slot, 'no unit') >= 0.02
         THEN [8876, 8876, 8541, 9529, 9531, 8554, 8840, 8840, 8713, 8751, 8753, 8840][kind + 1] END AS unit_concept_id,
    [NULL, NULL, NULL, NULL, NULL, 4, NULL, 0.5, 12, NULL, 3.5, 70][kind + 1] AS range_low,
    [NULL, NULL, NULL, NULL, NULL, 6, 160, 1.2, 17, 5, 5, 110][kind + 1] AS range_high,
    provider_id, visit AS visit_occurrence_id,
    ['PAS', 'PAD', 'FC', 'POIDS', 'IMC', 'HBA1C', 'LDL', 'CREAT', 'HB', 'CRP', 'K', 'GLY'][kind + 1] AS measurement_source_value,
    ['mmHg', 'mmHg', '/min', 'kg', 'kg/m2', '%', 'mg/dL', 'mg/dL', 'g/dL', 'mg/L', 'mmol/L', 'mg/dL'][kind + 1] AS unit_source_value
FROM reported
