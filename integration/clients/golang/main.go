// Command golang asks the federation through ADBC's Go driver, and through database/sql over it.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-adbc/go/adbc/sqldriver"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const question = "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1"

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ok")
}

func run(ctx context.Context) error {
	authority, err := os.ReadFile(os.Getenv("CLIENT_CA"))
	if err != nil {
		return err
	}
	options := map[string]string{
		adbc.OptionKeyURI:      "grpc+tls://" + os.Getenv("CLIENT_FLIGHT"),
		adbc.OptionKeyUsername: "ada",
		adbc.OptionKeyPassword: os.Getenv("CLIENT_TOKEN"),

		flightsql.OptionSSLRootCerts:                      string(authority),
		flightsql.OptionRPCCallHeaderPrefix + "study":     "trial",
		flightsql.OptionRPCCallHeaderPrefix + "intervals": "columns",
	}
	driver := flightsql.NewDriver(memory.DefaultAllocator)
	if err := arrow(ctx, driver, options); err != nil {
		return fmt.Errorf("ADBC: %w", err)
	}
	if err := standard(ctx, driver, options); err != nil {
		return fmt.Errorf("database/sql: %w", err)
	}
	return nil
}

// arrow asks by ADBC itself: Arrow batches, a question with a parameter, an error, the tables.
func arrow(ctx context.Context, driver adbc.Driver, options map[string]string) (err error) {
	database, err := driver.NewDatabase(options)
	if err != nil {
		return err
	}
	defer database.Close()
	connection, err := database.Open(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()

	rows, err := ask(ctx, connection, question)
	if err != nil {
		return err
	}
	if err := same("rows", rows, os.Getenv("CLIENT_EXPECTED")); err != nil {
		return err
	}
	_, err = ask(ctx, connection, "SELECT COUNT(*) FROM persn")
	var refused adbc.Error
	if !errors.As(err, &refused) || refused.Code != adbc.StatusInvalidArgument || !strings.Contains(refused.Msg, "UNKNOWN_TABLE at line 1, column 22") {
		return fmt.Errorf("a table that is none: %v", err)
	}
	schema, err := connection.GetTableSchema(ctx, nil, nil, "death")
	if err != nil {
		return err
	}
	if name := schema.Field(1).Name; name != "death_date" {
		return fmt.Errorf("the second column of death is %s", name)
	}
	return nil
}

// ask returns the rows of an answer as JSON.
func ask(ctx context.Context, connection adbc.Connection, text string) (string, error) {
	statement, err := connection.NewStatement()
	if err != nil {
		return "", err
	}
	defer statement.Close()
	if err := statement.SetSqlQuery(text); err != nil {
		return "", err
	}
	batches, _, err := statement.ExecuteQuery(ctx)
	if err != nil {
		return "", err
	}
	defer batches.Release()
	rows := [][]int64{}
	for batches.Next() {
		batch := batches.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([]int64, batch.NumCols())
			for j, column := range batch.Columns() {
				row[j] = column.(*array.Int64).Value(i)
			}
			rows = append(rows, row)
		}
	}
	if err := batches.Err(); err != nil {
		return "", err
	}
	b, err := json.Marshal(rows)
	return string(b), err
}

// standard asks like any Go program asks any database.
func standard(ctx context.Context, driver adbc.Driver, options map[string]string) error {
	var dsn []string
	for k, v := range options {
		dsn = append(dsn, k+"="+v)
	}
	slices.Sort(dsn)
	sql.Register("intramuros", sqldriver.Driver{Driver: driver})
	db, err := sql.Open("intramuros", strings.Join(dsn, ";"))
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, question)
	if err != nil {
		return err
	}
	defer rows.Close()
	all := [][4]int64{}
	for rows.Next() {
		var row [4]int64
		if err := rows.Scan(&row[0], &row[1], &row[2], &row[3]); err != nil {
			return err
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := same("rows", string(b), os.Getenv("CLIENT_EXPECTED")); err != nil {
		return err
	}

	const bound = "SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= "
	var written, asked, low, high int64
	if err := db.QueryRowContext(ctx, bound+"1970").Scan(&written, &low, &high); err != nil {
		return err
	}
	prepared, err := db.PrepareContext(ctx, bound+"?") // the driver binds parameters only to prepared statements
	if err != nil {
		return err
	}
	defer prepared.Close()
	if err := prepared.QueryRowContext(ctx, int64(1970)).Scan(&asked, &low, &high); err != nil {
		return err
	}
	if written != asked { // the second is the first, whose answer is stored
		return fmt.Errorf("with a parameter %d, without %d", asked, written)
	}
	return nil
}

// same compares JSON texts without white space.
func same(what, got, want string) error {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(want)); err != nil {
		return err
	}
	if got != b.String() {
		return fmt.Errorf("%s: %s, not %s", what, got, &b)
	}
	return nil
}
