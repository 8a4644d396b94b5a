package session_test

import (
	"fmt"

	"github.com/intramuros/intramuros/coordinator/session"
)

// A door keeps the settings of a connection, and adds them to each request.
func ExampleSettings_Request() {
	var s session.Settings
	for name, value := range map[string]string{"study": "sepsis", "epsilon": "0.5"} {
		if err := s.Set(name, value); err != nil {
			panic(err)
		}
	}
	r := s.Request("SELECT COUNT(*) FROM person", nil)
	fmt.Println(r.Study, r.Epsilon)
	// Output: sepsis 0.5
}

// A value that does not fit is refused, and the earlier value stays.
func ExampleSettings_Set() {
	var s session.Settings
	fmt.Println(s.Set("max_rows", "10"))
	fmt.Println(s.Set("max_rows", "few"))
	fmt.Println(s.Get("max_rows"))
	// Output:
	// <nil>
	// INVALID_REQUEST: max_rows cannot be "few"; give a whole number from 1 up
	// 10
}
