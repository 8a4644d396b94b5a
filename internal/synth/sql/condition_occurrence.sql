-- The reason of the visit, and the chronic diseases somebody wrote down.
SELECT row_number() OVER (ORDER BY visit, position) AS condition_occurrence_id, person_id,
    concept AS condition_concept_id, start AS condition_start_date, start_time AS condition_start_datetime,
    CASE WHEN concept IN (4266367, 260139, 4112343, 372328, 81151) AND uniform(visit, concept, 'ended') < 0.7
         THEN least(to_date, finish + 5 + floor(10 * uniform(visit, concept, 'end'))::INTEGER)
         WHEN visit_concept_id = 9201 AND main THEN finish END AS condition_end_date,
    32817 AS condition_type_concept_id, CASE WHEN main THEN 32902 ELSE 32908 END AS condition_status_concept_id,
    provider_id, visit AS visit_occurrence_id,
    CASE WHEN main THEN 'diagnostic principal' ELSE 'diagnostic associé' END AS condition_status_source_value
FROM (SELECT *, concept IS NOT DISTINCT FROM reason AS main
      FROM (SELECT *, unnest(active) AS concept, generate_subscripts(active, 1) AS position FROM stay))
WHERE main OR uniform(visit, concept, 'coded') < CASE visit_concept_id WHEN 9201 THEN 0.8 WHEN 9202 THEN 0.5 ELSE 0.25 END
ORDER BY condition_occurrence_id
