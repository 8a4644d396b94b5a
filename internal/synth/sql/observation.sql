SELECT row_number() OVER (ORDER BY visit) AS observation_id, person_id, 43054909 AS observation_concept_id,
    start AS observation_date, start_time AS observation_datetime, 32817 AS observation_type_concept_id,
    CASE tobacco WHEN 'current' THEN 45881517 WHEN 'former' THEN 45883458 ELSE 45879404 END AS value_as_concept_id,
    provider_id, visit AS visit_occurrence_id, 'TABAC' AS observation_source_value,
    CASE tobacco WHEN 'current' THEN 'fumeur' WHEN 'former' THEN 'ancien fumeur' ELSE 'non-fumeur' END AS value_source_value
FROM stay
WHERE age >= 15 AND uniform(visit, 0, 'tobacco') < 0.3
ORDER BY observation_id
