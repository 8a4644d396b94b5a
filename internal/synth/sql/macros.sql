-- Deterministic draws. Each is a function of the seed, an identifier, an index
-- and a purpose. The outer hash() is needed: hash() over several arguments
-- combines them by xor at the end, so that draws for two purposes would otherwise
-- be tied to each other.
CREATE MACRO bits(id, k, purpose) AS hash(hash(getvariable('seed'), id::BIGINT, k::BIGINT, purpose));
-- Uniform in [0, 1), 53 bits.
CREATE MACRO uniform(id, k, purpose) AS (bits(id, k, purpose) >> 11)::DOUBLE / 9007199254740992;
-- Standard normal, by Box-Muller on the two halves of one draw.
CREATE MACRO normal(id, k, purpose) AS
    sqrt(-2 * ln(((bits(id, k, purpose) >> 32)::DOUBLE + 1) / 4294967296))
    * cos(2 * pi() * (bits(id, k, purpose) & 4294967295)::DOUBLE / 4294967296);
CREATE MACRO logistic(x) AS 1 / (1 + exp(-x));
CREATE MACRO clamp(x, low, high) AS greatest(low, least(high, x));
CREATE MACRO pick(list, u) AS list[1 + floor(u * len(list))::INTEGER];
-- A federation-wide person_id: a permutation of 1 .. 2^31-2, so that
-- identifiers are unique, fit an INTEGER and say nothing about the hospital.
CREATE MACRO pseudonym(i) AS
    (((i + (getvariable('seed') % 1000000000)::BIGINT) * 1103515245) % 2147483647)::INTEGER;
-- Systolic pressure in mmHg at a round of a visit; the diastolic follows it.
CREATE MACRO systolic(age, hypertension, person_id, visit, round) AS
    CASE WHEN age < 18 THEN 95 + 1.2 * age ELSE 114 + 0.22 * (age - 18) + 11 * hypertension::INTEGER END
    + 7 * normal(person_id, 0, 'pressure') + 8 * normal(visit, round, 'systolic');
