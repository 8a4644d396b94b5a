package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/intramuros/intramuros/node"
	"github.com/intramuros/intramuros/node/console"
)

// hospital stands for a node: this page asks it for nothing but its standing.
type hospital struct{ console.Custodian }

func (hospital) Standing(context.Context) (*node.Standing, error) {
	return &node.Standing{Hospital: "lyon", Federation: "gironde"}, nil
}

// ask sends the page a request with a token, if there is one.
func ask(token string) (*httptest.ResponseRecorder, error) {
	server, err := console.NewServer(hospital{}, nil, console.Admission{Token: []byte("a token that is long enough")}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/standing", http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer := httptest.NewRecorder()
	server.Handler.ServeHTTP(answer, r)
	return answer, nil
}

// Who has the token sees how the hospital stands.
func ExampleNewServer() {
	answer, err := ask("a token that is long enough")
	if err != nil {
		fmt.Println(err)
		return
	}
	var s console.Standing
	err = json.Unmarshal(answer.Body.Bytes(), &s)
	fmt.Println(s.Hospital, s.Federation, err)
	// Output: lyon gironde <nil>
}

// Nobody else sees anything.
func ExampleAdmission() {
	answer, err := ask("")
	if err != nil {
		fmt.Println(err)
		return
	}
	var f console.Failure
	err = json.Unmarshal(answer.Body.Bytes(), &f)
	fmt.Println(answer.Code, f.Error.Code, err)
	// Output: 401 UNAUTHORIZED <nil>
}
