package synth

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// Measurements writes the benchmark's two tables into folder, which is created if it does not exist.
//
// measurement.parquet has exactly rows rows: person_id (INTEGER, 1 to patients), measurement_concept_id (INTEGER, 1 to
// keys, evenly), value_as_number (DOUBLE, 0 to 200 with one decimal) and measurement_date (2019 to 2024). The rows are
// in person_id order and unevenly spread: person p of P has about 0.8·(rows/P)·(p/P)^(-0.2) of them, so that a limit on
// a patient's contribution has an effect. person.parquet has patients rows: person_id, gender_concept_id and
// year_of_birth.
//
// rows and patients are 1 to 2^31-1, and keys 1 to 100000; other sizes are errors that wrap ErrConfig. The same
// arguments give the same rows.
func Measurements(ctx context.Context, folder string, seed uint64, rows, patients int64, keys int) error {
	switch {
	case folder == "":
		return fmt.Errorf("%w: no folder to write to", ErrConfig)
	case min(rows, patients) < 1 || max(rows, patients) > math.MaxInt32:
		return fmt.Errorf("%w: %d rows, %d patients; each has to be 1 to 2147483647", ErrConfig, rows, patients)
	case keys < 1 || keys > 100_000:
		return fmt.Errorf("%w: %d keys; give 1 to 100000", ErrConfig, keys)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the benchmark's folder: %w", err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return fmt.Errorf("starting the embedded DuckDB: %w", err)
	}
	defer db.Close()
	conn, err := session(ctx, db, seed, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, query("macros")); err != nil {
		return stopped(ctx, fmt.Errorf("defining the draws: %w", err))
	}
	// There is one draw per row: its bits are divided between key, value and date.
	measurement := fmt.Sprintf(`
		SELECT (1 + least(%[2]d - 1, floor(%[2]d * pow(i / %[1]d::DOUBLE, 1.25))))::INTEGER AS person_id,
			(1 + (b >> 40) %% %[3]d)::INTEGER AS measurement_concept_id,
			((b & 1048575) %% 2001)::DOUBLE / 10 AS value_as_number,
			DATE '2019-01-01' + (((b >> 20) & 1048575) %% 2192)::INTEGER AS measurement_date
		FROM (SELECT i, bits(i, 0, 'benchmark') AS b FROM range(%[1]d) AS t(i))`, rows, patients, keys)
	if err := export(ctx, conn, measurement, filepath.Join(folder, "measurement.parquet")); err != nil {
		return err
	}
	return export(ctx, conn, fmt.Sprintf(`
		SELECT i::INTEGER AS person_id,
			CASE WHEN uniform(i, 0, 'sex') < 0.52 THEN 8532 ELSE 8507 END::INTEGER AS gender_concept_id,
			(1925 + floor(100 * uniform(i, 0, 'year')))::INTEGER AS year_of_birth
		FROM range(1, %d + 1) AS t(i)`, patients), filepath.Join(folder, "person.parquet"))
}
