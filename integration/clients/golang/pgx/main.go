// This program uses pgx and its pool: see drivers.py. If CLIENT_SLOW is a question that never ends, it waits for a word
// on standard input, starts the question, and cancels it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, fmt.Sprintf("postgres://ada:%s@%s/trial?sslmode=verify-full&sslrootcert=%s&channel_binding=require",
		os.Getenv("CLIENT_TOKEN"), os.Getenv("CLIENT_POSTGRES"), os.Getenv("CLIENT_CA")))
	if err != nil {
		return err
	}
	defer pool.Close()
	if slow := os.Getenv("CLIENT_SLOW"); slow != "" {
		return cancel(ctx, pool, slow)
	}
	sql := strings.NewReplacer("?1", "$1", "?2", "$2").Replace(os.Getenv("CLIENT_MIXED"))
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		if err := mixed(ctx, pool, mode, sql); err != nil {
			return fmt.Errorf("%v: %w", mode, err)
		}
	}
	var dated, again, weighed, written int64
	day := pgtype.Date{Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Valid: true}
	var weight pgtype.Numeric
	if err := weight.Scan("12.50"); err != nil {
		return err
	}
	err = errors.Join(
		pool.QueryRow(ctx, "SELECT COUNT(*) AS n FROM death WHERE death_date >= $1", day).Scan(&dated),
		pool.QueryRow(ctx, "SELECT COUNT(*) AS n FROM death WHERE death_date >= DATE '2020-01-01'").Scan(&again),
		pool.QueryRow(ctx, "SELECT COUNT(*) AS n FROM measurement WHERE value_as_number >= $1", weight).Scan(&weighed),
		pool.QueryRow(ctx, "SELECT COUNT(*) AS n FROM measurement WHERE value_as_number >= 12.5").Scan(&written),
	)
	if err != nil || dated != again || weighed != written {
		return fmt.Errorf("%d %d, %d %d: %w", dated, again, weighed, written, err)
	}
	// Many statements at once, without waiting for each.
	batch, piped := &pgx.Batch{}, []int64{0, 0}
	for i, year := range []int{1950, 1960} {
		batch.Queue("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= $1", year).QueryRow(func(row pgx.Row) error { return row.Scan(&piped[i]) })
	}
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("a batch: %w", err)
	}
	for i, year := range []string{"1950", "1960"} {
		var alone int64
		if err := pool.QueryRow(ctx, "SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= "+year).Scan(&alone); err != nil || alone != piped[i] {
			return fmt.Errorf("in a batch %d, alone %d: %w", piped[i], alone, err)
		}
	}
	var refused *pgconn.PgError
	if _, err := pool.Exec(ctx, "SELECT COUNT(*) FROM persn"); !errors.As(err, &refused) || refused.Code != "42P01" || refused.Hint != "did you mean person?" {
		return fmt.Errorf("an error: %w", err)
	}
	return nil
}

// mixed asks what drivers.py asks, and compares the answer with the one that every client gets.
func mixed(ctx context.Context, pool *pgxpool.Pool, mode pgx.QueryExecMode, sql string) error {
	rows, err := pool.Query(ctx, sql, mode, []int64{8507, 8532}, 1950)
	if err != nil {
		return err
	}
	type line struct {
		Gender, Big int64
		Day         time.Time
		Nothing     *int64
		Quarter     float64
		N           int64
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
	if err != nil {
		return err
	}
	got := [][]any{}
	for _, l := range all {
		got = append(got, []any{l.Gender, l.Big, l.Day.Format(time.DateOnly), l.Nothing, l.Quarter, l.N})
	}
	text, err := json.Marshal(got)
	if want := strings.ReplaceAll(os.Getenv("CLIENT_MIXED_ROWS"), " ", ""); err == nil && string(text) != want {
		err = fmt.Errorf("got %s, not %s", text, want)
	}
	return err
}

// cancel ends a question by its context, for which pgx sends a cancel request, and asks another one.
func cancel(ctx context.Context, pool *pgxpool.Pool, slow string) error {
	within, stop := context.WithCancel(ctx)
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		stop()
	}()
	if _, err := pool.Exec(within, slow); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the question ended with %w", err)
	}
	_, err := pool.Exec(ctx, os.Getenv("CLIENT_QUICK"))
	return err
}
