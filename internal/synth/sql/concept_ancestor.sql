-- Each standard concept is its own ancestor, and a few that studies ask for have
-- descendants among the concepts generated; the levels of separation are those of this small vocabulary.
WITH
family(ancestor, descendants) AS (VALUES
    (201820, [201826]),
    (134057, [320128, 316139, 4329847, 443454]),
    (320136, [255573, 317009, 255848, 260139, 4112343, 4266367]),
    (443392, [4112853]),
    (75053, [4230399, 4278672]),
    (21600712, [1503297, 1502905]),
    (21601664, [1338005]),
    (21601744, [1332418]),
    (21601782, [1334456]),
    (21601853, [1545958]))
SELECT concept_id AS ancestor_concept_id, concept_id AS descendant_concept_id, 0 AS min_levels_of_separation, 0 AS max_levels_of_separation
FROM read_parquet(getvariable('folder') || '/concept.parquet')
WHERE standard_concept IS NOT NULL AND domain_id IN ('Condition', 'Drug', 'Measurement', 'Procedure')
UNION ALL
SELECT ancestor, unnest(descendants), 1, 1
FROM family
ORDER BY ancestor_concept_id, descendant_concept_id
