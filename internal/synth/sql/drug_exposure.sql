-- Who has a disease is given its drug for good (treated, drawn once a person), and most visits prescribe it.
WITH
prescription(drug, disease, treated, days, quantity, route) AS (VALUES
    (1503297, 201826, 0.82, 90, 180, 4132161), (1502905, 201826, 0.20, 30, 3, 4142048),
    (1545958, 201826, 0.45, 90, 90, 4132161), (1332418, 320128, 0.45, 90, 90, 4132161),
    (1334456, 320128, 0.50, 90, 90, 4132161), (956874, 316139, 0.80, 30, 60, 4132161),
    (1338005, 316139, 0.65, 90, 90, 4132161), (1154343, 317009, 0.75, 30, 1, 40486069),
    (1154343, 255573, 0.70, 30, 1, 40486069), (1112807, 4329847, 0.92, 90, 90, 4132161),
    (1545958, 4329847, 0.88, 90, 90, 4132161), (1112807, 443454, 0.85, 90, 90, 4132161),
    (1713332, 255848, 0.80, 7, 42, 4132161), (1713332, 372328, 0.75, 6, 18, 4132161),
    (1713332, 260139, 0.30, 7, 42, 4132161), (1125315, 4266367, 0.85, 5, 20, 4132161),
    (1125315, 81151, 0.60, 5, 20, 4132161), (1125315, 200219, 0.50, 3, 12, 4132161),
    (1125315, 4230399, 0.95, 10, 40, 4132161), (1301025, 4230399, 0.93, 30, 30, 4142048),
    (739138, 440383, 0.65, 30, 30, 4132161), (1436678, 4112853, 0.55, 90, 90, 4132161)),
prescribed AS (
    SELECT visit, drug, min(days) AS days, min(quantity) AS quantity, min(route) AS route
    FROM (SELECT visit, person_id, unnest(active) AS disease FROM stay) JOIN prescription USING (disease)
    WHERE uniform(person_id, drug, 'treated') < treated AND uniform(visit, drug, 'prescribed') < 0.8
    GROUP BY visit, drug
    UNION ALL
    SELECT visit, 40213154, NULL, 1, 4302612
    FROM stay
    WHERE month(start) >= 10 AND NOT list_contains(active, 4266367) AND uniform(visit, 0, 'vaccine')
        < CASE WHEN age >= 65 THEN 0.5 WHEN len(active) > 0 THEN 0.2 ELSE 0.03 END
)
SELECT row_number() OVER (ORDER BY visit, drug) AS drug_exposure_id, person_id, drug AS drug_concept_id,
    start AS drug_exposure_start_date, start_time AS drug_exposure_start_datetime,
    least(to_date, start + coalesce(days, 1)::INTEGER - 1) AS drug_exposure_end_date,
    32838 AS drug_type_concept_id,
    CASE WHEN days >= 30 THEN floor(3 * uniform(visit, drug, 'refills')) END AS refills,
    CASE WHEN uniform(visit, drug, 'quantity') >= 0.05 THEN quantity END AS quantity,
    CASE WHEN uniform(visit, drug, 'supply') >= 0.04 THEN days END AS days_supply,
    route AS route_concept_id, provider_id, visit AS visit_occurrence_id
FROM prescribed JOIN stay USING (visit)
ORDER BY drug_exposure_id
