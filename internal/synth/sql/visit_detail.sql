-- Inpatients only: the ward, after intensive care where the stay began there.
SELECT visit * 2 - 1 + part AS visit_detail_id, person_id,
    CASE WHEN part = 0 AND intensive THEN 32037 ELSE 9201 END AS visit_detail_concept_id,
    CASE WHEN part = 0 THEN start ELSE start + days END AS visit_detail_start_date,
    CASE WHEN part = 0 AND intensive THEN start + days ELSE finish END AS visit_detail_end_date,
    32817 AS visit_detail_type_concept_id, provider_id,
    CASE WHEN part = 0 AND intensive THEN getvariable('site') * 100 + 5 ELSE care_site_id END AS care_site_id,
    CASE WHEN part = 1 THEN visit * 2 - 1 END AS preceding_visit_detail_id,
    visit AS visit_occurrence_id
FROM (SELECT *, unnest(CASE WHEN intensive THEN [0, 1] ELSE [0] END) AS part
      FROM (SELECT *, uniform(visit, 0, 'intensive') < CASE WHEN reason IN (4329847, 443454) THEN 0.5 WHEN reason = 255848 THEN 0.15 ELSE 0.03 END AS intensive,
                   least(date_diff('day', start, finish), 1 + floor(4 * uniform(visit, 0, 'intensive days')))::INTEGER AS days
            FROM stay WHERE visit_concept_id = 9201))
ORDER BY visit_detail_id
