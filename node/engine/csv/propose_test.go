package csv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
)

func TestPropose(t *testing.T) {
	french := "N° patient;Date d'entrée;Poids (kg);Unité;Décès;Vu\r\n"
	for i := range 50 {
		french += fmt.Sprintf("%08d;%02d/03/2022;%d,5;Réanimation;%s;NA\r\n", i, i%28+1, 50+i, "ON"[i%2:i%2+1])
	}
	french, _ = charmap.Windows1252.NewEncoder().String(french)
	for _, test := range []struct {
		name, content string
		want          Settings
		kinds         map[string]string
		doubtful      bool
	}{
		{"plain", "pid,sex,x\n1,F,1.5\n2,M,\n", Settings{}, map[string]string{"pid": "int", "sex": "text", "x": "float"}, false},
		{"French", french, Settings{Encoding: "windows-1252", Delimiter: ";", Decimal: ",", DateFormat: "dd/mm/yyyy", True: Words{"O", "oui"}, False: Words{"N", "non"}},
			map[string]string{"N° patient": "text", "Date d'entrée": "date", "Poids (kg)": "float", "Unité": "text", "Décès": "bool"}, false},
		{"no header", "1,F,Dupont1\n2,M,Dupont2\n", Settings{Header: &Header{}}, map[string]string{"column1": "int", "column2": "text", "column3": "text"}, false},
		{"no header, texts", "Dupont,F,urgences\nDurand,F,chirurgie\n", Settings{Header: &Header{}}, map[string]string{"column1": "text", "column2": "text", "column3": "text"}, false},
		{"nothing tells", "Dupont,urgences\nDurand,chirurgie\n", Settings{}, map[string]string{"column1": "text", "column2": "text"}, true},
		{"nulls", "pid|x|d\n1|NA|2020-01-02\n2|3|?\n", Settings{Delimiter: "|", Null: Words{"", "NA", "?"}}, map[string]string{"pid": "int", "x": "int", "d": "date"}, false},
		{"American days", "pid,d\n1,01/31/2020\n2,12/01/2020\n", Settings{DateFormat: "mm/dd/yyyy"}, map[string]string{"pid": "int", "d": "date"}, false},
		{"empty", "", Settings{}, map[string]string{}, false},
	} {
		path := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Propose(context.Background(), path, &Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Proposal{&test.want, test.kinds, test.doubtful}, *p); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		if text := fmt.Sprintf("%+v %v", *p.Settings, p.Kinds); strings.Contains(text, "Dupont") || strings.Contains(text, "urgences") {
			t.Errorf("%s: a proposal shows a row: %s", test.name, text)
		}
	}
}
