SELECT visit AS visit_occurrence_id, person_id, visit_concept_id,
    start AS visit_start_date, start_time AS visit_start_datetime, finish AS visit_end_date,
    CASE WHEN finish = start THEN start_time + INTERVAL 40 MINUTE ELSE finish + INTERVAL 11 HOUR END AS visit_end_datetime,
    32817 AS visit_type_concept_id, provider_id, care_site_id,
    CASE visit_concept_id WHEN 9201 THEN 'hospitalisation' WHEN 9202 THEN 'consultation' ELSE 'urgences' END AS visit_source_value,
    CASE WHEN visit_concept_id = 9201 AND uniform(visit, 0, 'admitted') < 0.45 THEN 8870 END AS admitted_from_concept_id,
    CASE WHEN visit_concept_id = 9201 AND finish IS DISTINCT FROM death
         THEN CASE WHEN age > 75 AND uniform(visit, 0, 'discharged') < 0.2 THEN 8863 ELSE 8536 END END AS discharged_to_concept_id,
    preceding AS preceding_visit_occurrence_id
FROM stay
ORDER BY visit
