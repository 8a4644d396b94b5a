SELECT getvariable('site') * 100 + n AS care_site_id, city || ', ' || label AS care_site_name,
    place AS place_of_service_concept_id, getvariable('site') * 100 + 1 AS location_id,
    name || '-' || n AS care_site_source_value, label AS place_of_service_source_value
FROM site, (VALUES (1, 'urgences', 8870), (2, 'médecine', 8717), (3, 'cardiologie', 8717),
                   (4, 'consultations', 8756), (5, 'réanimation', 8717)) AS v(n, label, place)
WHERE site = getvariable('site')
ORDER BY n
