package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxBytes bounds a configuration file. The largest real one, a catalog, has a few hundred kilobytes; a larger file is
// the wrong file.
const maxBytes = 4 << 20

// Load reads the YAML file at path into the struct or map that into points to. Fields that the file does not mention
// keep their value, so a caller sets defaults in into first. See Decode for what is refused.
func Load(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	return Decode(f, path, into)
}

// Decode reads exactly one YAML document from r into the struct or map that into points to. name is the file name that
// errors show. The error, if any, lists every fault, one per line (errors.Join).
func Decode(r io.Reader, name string, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("config: into must be a pointer that is not nil, not %T", into)
	}
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	dec := yaml.NewDecoder(limited)
	var doc yaml.Node
	err := dec.Decode(&doc)
	if limited.N <= 0 {
		return fmt.Errorf("%s is larger than %d MiB; this is not a configuration file", name, maxBytes>>20)
	}
	switch {
	case errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]):
		return fmt.Errorf("%s is empty; a configuration is needed", name)
	case err != nil:
		return yamlError(name, err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if limited.N <= 0 {
			return fmt.Errorf("%s is larger than %d MiB; this is not a configuration file", name, maxBytes>>20)
		}
		if err != nil {
			return yamlError(name, err)
		}
		return fmt.Errorf("%s:%d: a second document begins here; keep one document per file", name, second.Line)
	}

	root := doc.Content[0]
	nameKeys(root)
	c := checker{name: name}
	c.check(root, target.Type().Elem(), "")
	if len(c.problems) > 0 {
		return errors.Join(c.problems...)
	}
	// The check above has decoded every leaf once. So the remaining errors are about parts of type any, such as
	// duplicate keys.
	if err := root.Decode(into); err != nil {
		return yamlError(name, err)
	}
	return nil
}

// nameKeys makes the keys null, true and false plain names.
func nameKeys(n *yaml.Node) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode {
			child.Tag = "!!str"
		}
		nameKeys(child)
	}
}

// Resolve returns the meaning of the path p in the configuration file at configPath: relative paths are relative to
// that file's directory, wherever the daemon was started. An empty p stays empty.
func Resolve(configPath, p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(configPath), p)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// yamlError rewrites the library's "yaml: line 7: …" to "node.yaml:7: …". Only errors without a line number keep their
// chain. The others are plain texts of the library.
func yamlError(name string, err error) error {
	place := func(text string) (string, bool) {
		if m := yamlLine.FindStringSubmatchIndex(text); m != nil {
			return name + ":" + text[m[2]:m[3]] + ": " + text[m[1]:], true
		}
		return name + ": " + strings.TrimPrefix(text, "yaml: "), false
	}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		var all []error
		for _, text := range typed.Errors {
			placed, _ := place(text)
			all = append(all, errors.New(placed))
		}
		return errors.Join(all...)
	}
	if placed, ok := place(err.Error()); ok || strings.HasPrefix(err.Error(), "yaml: ") {
		return errors.New(placed)
	}
	return fmt.Errorf("%s: %w", name, err)
}
