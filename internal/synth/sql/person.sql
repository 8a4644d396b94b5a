-- Race and ethnicity are not recorded in French hospitals.
SELECT person_id, CASE WHEN female THEN 8532 ELSE 8507 END AS gender_concept_id,
    year(birth) AS year_of_birth, month(birth) AS month_of_birth,
    CASE WHEN uniform(person_id, 0, 'day unknown') >= 0.02 THEN day(birth) END AS day_of_birth,
    CASE WHEN uniform(person_id, 0, 'day unknown') >= 0.02 THEN birth END AS birth_datetime,
    0 AS race_concept_id, 0 AS ethnicity_concept_id,
    CASE WHEN uniform(person_id, getvariable('site'), 'address') >= 0.03
         THEN getvariable('site') * 100 + 1 + floor(10 * uniform(person_id, getvariable('site'), 'location'))::INTEGER END AS location_id,
    getvariable('site') * 100 + 4 AS care_site_id,
    person_id::VARCHAR AS person_source_value,
    CASE WHEN female THEN 'F' ELSE 'M' END AS gender_source_value, 0 AS gender_source_concept_id
FROM patient
WHERE home = getvariable('site') OR other = getvariable('site')
ORDER BY person_id
