package fragment

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// TestEqual changes each field of the compared values in turn, so it finds a new field that Equal does not compare.
func TestEqual(t *testing.T) {
	x, y := expr.Column("t", "x", value.TypeInt), expr.Column("t", "y", value.TypeInt)
	window := func() *Window {
		return &Window{Partition: []*expr.Expr{x}, Order: []Order{{Expr: x}}, Ties: []*expr.Expr{x}, Offset: 1, Frame: &Frame{From: -1}}
	}
	query := func() *Query {
		return &Query{
			Relations: []Relation{{Name: "t", Table: "t", Query: &Query{}, Join: JoinInner, On: x}}, Filter: x,
			Columns: []Output{{Name: "a", Function: FunctionSum, Expr: x, Grid: &Grid{Shift: 1}, Window: window()}},
			Inputs:  []*Query{{}}, Patient: "a",
		}
	}
	partial := func() *Partial {
		return &Partial{Kind: PartialSum, Of: PartialRows, Expr: x, Grid: &Grid{}, Most: 2, Buckets: &Buckets{Levels: 1}, Share: 3}
	}
	for _, c := range []struct {
		name  string
		of    func() reflect.Value // a new value, to be changed
		equal func(a, b reflect.Value) bool
	}{
		{"query", func() reflect.Value { return reflect.ValueOf(query()).Elem() }, func(a, b reflect.Value) bool {
			return a.Addr().Interface().(*Query).Equal(b.Addr().Interface().(*Query))
		}},
		{"relation", func() reflect.Value { return reflect.ValueOf(&query().Relations[0]).Elem() }, func(a, b reflect.Value) bool {
			return a.Interface().(Relation).Equal(b.Interface().(Relation))
		}},
		{"output", func() reflect.Value { return reflect.ValueOf(&query().Columns[0]).Elem() }, func(a, b reflect.Value) bool {
			return a.Interface().(Output).Equal(b.Interface().(Output))
		}},
		{"window", func() reflect.Value { return reflect.ValueOf(window()).Elem() }, func(a, b reflect.Value) bool {
			return a.Addr().Interface().(*Window).Equal(b.Addr().Interface().(*Window))
		}},
		{"order", func() reflect.Value { return reflect.ValueOf(&window().Order[0]).Elem() }, func(a, b reflect.Value) bool {
			return a.Interface().(Order).Equal(b.Interface().(Order))
		}},
		{"partial", func() reflect.Value { return reflect.ValueOf(partial()).Elem() }, func(a, b reflect.Value) bool {
			return a.Interface().(Partial).Equal(b.Interface().(Partial))
		}},
	} {
		if !c.equal(c.of(), c.of()) {
			t.Errorf("two %s of one form differ", c.name)
		}
		for i := range c.of().NumField() {
			changed := c.of()
			f := changed.Field(i)
			switch f.Kind() {
			case reflect.String:
				f.SetString("other")
			case reflect.Bool:
				f.SetBool(!f.Bool())
			case reflect.Int:
				f.SetInt(f.Int() + 1)
			case reflect.Slice:
				f.Set(reflect.MakeSlice(f.Type(), 0, 0))
				if c.of().Field(i).Len() == 0 {
					t.Fatalf("%s: %s is empty", c.name, changed.Type().Field(i).Name)
				}
			case reflect.Pointer:
				if f.Type() == reflect.TypeOf(y) {
					f.Set(reflect.ValueOf(y))
				} else {
					f.SetZero()
				}
			default:
				t.Fatalf("%s: %s is a %s", c.name, changed.Type().Field(i).Name, f.Kind())
			}
			if c.equal(c.of(), changed) || c.equal(changed, c.of()) {
				b, _ := json.Marshal(changed.Interface())
				t.Errorf("%s: another %s makes no difference: %s", c.name, changed.Type().Field(i).Name, b)
			}
		}
	}
}
