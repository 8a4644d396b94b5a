// Package config reads the small YAML files that configure the daemons.
//
// Contract: a file that is not understood completely is refused. These are errors: an unknown key, a key given twice, a
// value of the wrong type, a scalar key without a value, an alias, and a second document. An error names the key, the
// file and the line, and for a misspelt key the nearest known one. All errors of a file are reported together. On error
// the destination stays as it was.
//
// Errors never quote a value, because a value may be a secret written in the wrong place. A type with its own
// UnmarshalYAML or UnmarshalText decodes itself, and is responsible for the text of its own errors.
package config
