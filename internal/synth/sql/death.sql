-- A second hospital hears of most deaths, not of all.
SELECT person_id, death AS death_date, 32817 AS death_type_concept_id,
    CASE WHEN len(chronic) > 0 AND uniform(person_id, 0, 'cause known') < 0.6
         THEN pick(chronic, uniform(person_id, 0, 'cause')).concept END AS cause_concept_id
FROM patient
WHERE death IS NOT NULL
    AND (home = getvariable('site') OR (other = getvariable('site') AND uniform(person_id, 0, 'told') < 0.7))
ORDER BY person_id
