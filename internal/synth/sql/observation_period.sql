SELECT row_number() OVER (ORDER BY person_id) AS observation_period_id, person_id,
    min(start) AS observation_period_start_date, max(finish) AS observation_period_end_date,
    32880 AS period_type_concept_id
FROM stay
GROUP BY person_id
ORDER BY person_id
