// Package console is the researcher's page: write SQL, see cost and expected error
// before it runs, the answer as table and chart with its intervals, the budget, the
// hospitals, the catalog.
//
// Contract: it is static files and nothing else; one of them, words.js, is written of the
// planner's tables when the daemon starts, so that no list of functions is kept here. All that the page knows it asks
// of the coordinator's HTTP API, with the reader's own token and under the API's rules; so the
// page can do nothing that the token's bearer could not do with curl. A local account's
// token lives in the browser tab's session storage and is sent to the page's own origin
// only; who signs in at an identity provider (internal/signin) has a cookie instead.
//
// assets/ holds plain ES modules, one a part of the page; docs/console.md shows them to
// a reader, integration/console tests them in a browser.
package console
