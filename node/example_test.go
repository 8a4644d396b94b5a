package node_test

import (
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/node"
)

// These limits hold if node.yaml sets none. Nobody may propose a study, and nobody may decide about one.
func ExampleDefaultConfig() {
	c := node.DefaultConfig()
	fmt.Println(c.Limits.MaxRows, "rows and", c.Limits.MaxGroups, "groups a patient")
	fmt.Println(len(c.Operators), len(c.Custodians), c.LocalAccounts)
	// Output:
	// 1000 rows and 100 groups a patient
	// 0 0 false
}

// A refusal is a stable code with one text. Its cause stays in the hospital.
func ExampleCode() {
	err := fmt.Errorf("%w: patient 7 has no birthday", node.CodePeer)
	var code node.Code
	fmt.Println(errors.As(err, &code), code.GRPCStatus().Message())
	// Output: true NODE_PEER: answers coordinators of its federation only
}
