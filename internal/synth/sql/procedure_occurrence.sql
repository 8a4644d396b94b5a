WITH done(procedure, disease, share) AS (VALUES
    (4163951, 4329847, 0.98), (4216130, 4329847, 0.60), (4163951, 316139, 0.60), (4163951, 443454, 0.80),
    (4300757, 443454, 0.90), (4163872, 255848, 0.85), (4163872, 255573, 0.40), (4163872, 4266367, 0.20),
    (4145310, 4230399, 0.95), (4198190, 440448, 0.85), (4024289, 81151, 0.70), (4170947, 4278672, 0.90),
    (4300757, 200219, 0.35), (4234705, 440383, 0.40))
SELECT row_number() OVER (ORDER BY visit, procedure) AS procedure_occurrence_id, person_id,
    procedure AS procedure_concept_id, start AS procedure_date, start_time + INTERVAL 90 MINUTE AS procedure_datetime,
    start AS procedure_end_date, 32817 AS procedure_type_concept_id, 1 AS quantity, provider_id, visit AS visit_occurrence_id
FROM (SELECT visit, person_id, start, start_time, provider_id, procedure
      FROM stay JOIN done ON disease = reason WHERE uniform(visit, procedure, 'procedure') < share
      UNION ALL
      SELECT visit, person_id, start, start_time, provider_id, 4218408
      FROM stay WHERE uniform(visit, 0, 'blood') < CASE visit_concept_id WHEN 9201 THEN 0.9 ELSE 0.3 END)
ORDER BY procedure_occurrence_id
