package postgres_test

import (
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/postgres"
)

// Mistakes are reported before any server is asked.
func ExampleConfig_Validate() {
	c := postgres.Config{Host: "/var/run/postgresql", Database: "hospital", User: "intramuros"}
	fmt.Println(c.Validate())
	c.User = ""
	fmt.Println(errors.Is(c.Validate(), engine.ErrConfig))
	// Output:
	// <nil>
	// true
}

// Files are named relative to the node's file.
func ExampleConfig_Resolve() {
	c := postgres.Config{Password: config.Secret{File: "postgres.password"}}
	c.Resolve("/etc/intramuros/node.yaml")
	fmt.Println(c.Password.File)
	// Output:
	// /etc/intramuros/postgres.password
}
