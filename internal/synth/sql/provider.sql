SELECT getvariable('site') * 1000 + n AS provider_id,
    pick([38004456, 38004451, 38004472, 38004510], (n - 1) / 24) AS specialty_concept_id,
    getvariable('site') * 100 + 1 + n % 5 AS care_site_id,
    CASE WHEN n % 2 = 0 THEN 8532 ELSE 8507 END AS gender_concept_id,
    name || '-dr-' || n AS provider_source_value
FROM site, range(1, 25) AS t(n)
WHERE site = getvariable('site')
ORDER BY n
