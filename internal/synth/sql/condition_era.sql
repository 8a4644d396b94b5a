-- Runs of occurrences at most 30 days apart, read off the finished table.
WITH
record AS (
    SELECT person_id, condition_concept_id AS concept, condition_start_date AS start,
           coalesce(condition_end_date, condition_start_date) AS finish
    FROM read_parquet(getvariable('folder') || '/condition_occurrence.parquet')
),
reach AS (
    SELECT *, max(finish) OVER (PARTITION BY person_id, concept ORDER BY start, finish ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS so_far
    FROM record
),
run AS (
    SELECT *, sum((so_far IS NULL OR start > so_far + 30)::INTEGER) OVER (PARTITION BY person_id, concept ORDER BY start, finish ROWS UNBOUNDED PRECEDING) AS run
    FROM reach
)
SELECT row_number() OVER (ORDER BY person_id, concept, run) AS condition_era_id, person_id, concept AS condition_concept_id,
    min(start) AS condition_era_start_date, max(finish) AS condition_era_end_date, count(*) AS condition_occurrence_count
FROM run
GROUP BY person_id, concept, run
ORDER BY condition_era_id
