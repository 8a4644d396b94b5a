package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
)

// maxSecret bounds a secret file, in bytes.
const maxSecret = 64 << 10

// Secret says where a secret is kept; the configuration never holds the secret itself. Exactly one of the two fields is
// set.
type Secret struct {
	// File is the path of a file that only its owner can read, relative to the configuration file.
	File string `yaml:"file"`
	// Env is the name of an environment variable: upper-case letters, digits and underscores.
	Env string `yaml:"env"`
}

// envName is narrower than what systems allow, so that a secret in the wrong place seldom passes for a name, which an
// error would show.
var envName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// Read fetches the secret. dir is the directory of the configuration file. One trailing newline is removed, since
// editors add it. An empty secret, a file that group or others can access, or a file over 64 KiB is an error.
func (s Secret) Read(dir string) ([]byte, error) {
	switch {
	case s.File != "" && s.Env != "":
		return nil, errors.New("a secret has both file and env; keep one")
	case s.File == "" && s.Env == "":
		return nil, errors.New("a secret has neither file nor env; set one")
	case s.Env != "":
		// The value is not shown: it may be the secret itself, in the wrong place.
		if !envName.MatchString(s.Env) {
			return nil, errors.New("env of a secret must be the name of an environment variable, in upper-case letters, digits and _")
		}
		value := trimNewline([]byte(os.Getenv(s.Env)))
		if len(value) == 0 {
			return nil, fmt.Errorf("the environment variable %s, which should hold a secret, is empty or not set", s.Env)
		}
		return value, nil
	}

	path := s.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read a secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the secret %s is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("the secret %s is open to others (mode %04o); run: chmod 600 %s", path, perm, path)
	}
	value, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read a secret: %w", err)
	}
	if len(value) > maxSecret {
		return nil, fmt.Errorf("the secret %s is larger than %d KiB; this is the wrong file", path, maxSecret>>10)
	}
	if value = trimNewline(value); len(value) == 0 {
		return nil, fmt.Errorf("the secret %s is empty", path)
	}
	return value, nil
}

func trimNewline(b []byte) []byte {
	if line, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		return bytes.TrimSuffix(line, []byte("\r"))
	}
	return b
}

// String names the place of the secret, never the secret.
func (s Secret) String() string {
	switch {
	case s.File != "" && s.Env == "":
		return "secret in file " + s.File
	case s.Env != "" && s.File == "" && envName.MatchString(s.Env):
		return "secret in environment variable " + s.Env
	}
	return "secret without a valid place"
}

// GoString is String, so that no formatting verb shows more.
func (s Secret) GoString() string { return s.String() }

// LogValue is String for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
