package main

import (
	"bytes"
	"context"
	"fmt"
)

// try asks one question over the dummy data of a given catalog, at the study's default price and almost exactly.
func (d *demo) try(ctx context.Context) error {
	for _, epsilon := range []float64{0, 100} {
		words := "How many patients does the federation know?"
		if epsilon > 0 {
			words = fmt.Sprintf("The same with --epsilon %g: dummy data have nothing to protect, and hardly any noise is left.", epsilon)
		}
		d.pose(words, d.first())
		ask := d.asking
		ask.request.SQL, ask.request.Epsilon = d.first(), epsilon
		answer, err := ask.answer(ctx, d.messages)
		if err != nil {
			return err
		}
		if err := d.indented(func(out *bytes.Buffer) error { return writeTable(out, answer) }); err != nil {
			return err
		}
	}
	d.printf("\nThe study %s is sealed, and %s is not: a real federation's study is one of the two.\n", demoStudy, demoOpenStudy)
	return nil
}

// first is a question that every catalog with patients can answer.
func (d *demo) first() string {
	for _, t := range d.catalog.Tables {
		if !t.Public {
			return "SELECT COUNT(DISTINCT patient) AS patients FROM " + t.Name
		}
	}
	return "SHOW TABLES"
}
