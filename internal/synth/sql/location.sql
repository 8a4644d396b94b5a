SELECT getvariable('site') * 100 + n AS location_id, city,
    department AS state, department || lpad((n * 100)::VARCHAR, 3, '0') AS zip,
    'FR-' || department || '-' || n AS location_source_value, 'France' AS country_source_value
FROM site, range(1, 11) AS t(n)
WHERE site = getvariable('site')
ORDER BY n
