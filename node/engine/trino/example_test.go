package trino_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine/trino"
)

// A password is never sent without TLS.
func ExampleConfig_Validate() {
	c := trino.Config{URL: "http://trino.example:8080", Catalog: "hive", Schema: "omop", User: "intramuros", DataVersion: "2027-01-31"}
	fmt.Println(c.Validate())
	c.Password = config.Secret{File: "trino.password"}
	fmt.Println(c.Validate() != nil)
	c.URL = "https://trino.example:8443"
	fmt.Println(c.Validate())
	// Output:
	// <nil>
	// true
	// <nil>
}

// Files are named relative to the node's own.
func ExampleConfig_Resolve() {
	c := trino.Config{CA: "trino-ca.pem", Token: config.Secret{File: "/run/secrets/token"}}
	c.Resolve("/etc/intramuros/node.yaml")
	fmt.Println(c.CA)
	fmt.Println(c.Token.File)
	// Output:
	// /etc/intramuros/trino-ca.pem
	// /run/secrets/token
}
