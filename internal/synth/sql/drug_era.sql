-- Runs of exposures at most 30 days apart, read off the finished table; the drugs are ingredients already.
WITH
record AS (
    SELECT person_id, drug_concept_id AS concept, drug_exposure_start_date AS start, drug_exposure_end_date AS finish
    FROM read_parquet(getvariable('folder') || '/drug_exposure.parquet')
),
reach AS (
    SELECT *, max(finish) OVER (PARTITION BY person_id, concept ORDER BY start, finish ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS so_far
    FROM record
),
run AS (
    SELECT *, sum((so_far IS NULL OR start > so_far + 30)::INTEGER) OVER (PARTITION BY person_id, concept ORDER BY start, finish ROWS UNBOUNDED PRECEDING) AS run
    FROM reach
)
SELECT row_number() OVER (ORDER BY person_id, concept, run) AS drug_era_id, person_id, concept AS drug_concept_id,
    min(start) AS drug_era_start_date, max(finish) AS drug_era_end_date, count(*) AS drug_exposure_count,
    sum(CASE WHEN so_far < start AND start <= so_far + 30 THEN date_diff('day', so_far, start) - 1 ELSE 0 END) AS gap_days
FROM run
GROUP BY person_id, concept, run
ORDER BY drug_era_id
