package catalog

import (
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/value"
)

// WriteYAML writes the complete catalog in the form that Parse reads, one line per column, so that parsing gives an
// equal catalog. It does not validate: a draft may lack what a person must decide.
func (c *Catalog) WriteYAML(w io.Writer) error {
	var root, tables mapping
	root.text("catalog", c.Name)
	root.textIf("description", c.Description)
	root.countIf("max_sites", c.MaxSites)
	root.booleanIf("hospital_column", c.HospitalColumn)
	root.countIf("max_groups", c.MaxGroups)
	root.countIf("max_rows", c.MaxRows)
	for _, t := range c.Tables {
		tables.add(t.Name, t.node())
	}
	root.add("tables", tables.node(0))
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(root.node(0)); err != nil {
		return err
	}
	return e.Close()
}

func (t *Table) node() *yaml.Node {
	var m, columns mapping
	m.textIf("description", t.Description)
	m.booleanIf("public", t.Public)
	if len(t.Key) == 1 {
		m.text("key", t.Key[0])
	} else if len(t.Key) > 1 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, name := range t.Key {
			list.Content = append(list.Content, scalar(value.Text(name)))
		}
		m.add("key", list)
	}
	m.textIf("patient", t.Patient)
	if p := t.Part; p != nil {
		var part mapping
		part.text("table", p.Of)
		part.text("column", p.Column)
		part.text("value", p.Value)
		m.add("part_of", part.node(yaml.FlowStyle))
	}
	m.booleanIf("one_row_per_patient", t.OneRowPerPatient)
	m.countIf("max_rows", t.MaxRows)
	m.countIf("expected_patients", t.ExpectedPatients)
	m.countIf("typical_rows", t.TypicalRows)
	for _, col := range t.Columns {
		columns.add(col.Name, col.node())
	}
	m.add("columns", columns.node(0))
	return m.node(0)
}

func (col *Column) node() *yaml.Node {
	var m mapping
	m.text("type", string(col.Type))
	if !col.Nullable {
		m.add("nullable", scalar(value.Bool(false)))
	}
	if col.Lower.Valid() {
		m.values("bounds", []value.Value{col.Lower, col.Upper})
	}
	if col.Domain != nil {
		m.values("domain", col.Domain)
	}
	m.textIf("references", col.References)
	if col.Steady {
		m.add("steady", scalar(value.Bool(true)))
	}
	if col.Identifier {
		m.add("identifier", scalar(value.Bool(true)))
	}
	m.textIf("description", col.Description)
	return m.node(yaml.FlowStyle)
}

// mapping collects the keys and values of a YAML mapping.
type mapping []*yaml.Node

func (m *mapping) add(key string, n *yaml.Node) {
	*m = append(*m, scalar(value.Text(key)), n)
}

func (m *mapping) text(key, s string) { m.add(key, scalar(value.Text(s))) }

func (m *mapping) textIf(key, s string) {
	if s != "" {
		m.text(key, s)
	}
}

func (m *mapping) booleanIf(key string, b bool) {
	if b {
		m.add(key, scalar(value.Bool(true)))
	}
}

func (m *mapping) countIf(key string, i int) {
	if i > 0 {
		m.add(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)})
	}
}

func (m *mapping) values(key string, values []value.Value) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		list.Content = append(list.Content, scalar(v))
	}
	m.add(key, list)
}

func (m *mapping) node(style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Style: style, Content: *m}
}

// scalar returns the value as YAML. It quotes a text that would read as something else.
func scalar(v value.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	if v.Type() == value.TypeText {
		n.Tag = "!!str"
		if strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	return n
}
