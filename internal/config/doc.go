// Package config reads the small YAML files that configure the daemons.
//
// Contract: a file that is not understood completely is refused. An unknown
// key, a key given twice, a value of the wrong type, a scalar key without a
// value, an alias or a second document is an error that names the key, the
// file and the line, and for a misspelt key the nearest known one. All
// problems of a file are reported together. On error the destination is left
// as it was.
//
// Errors never quote a value, because a value may be a secret written in the
// wrong place. A type with its own UnmarshalYAML or UnmarshalText decodes
// itself, and answers for the wording of its own errors.
package config
