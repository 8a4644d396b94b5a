// Package console is the researcher's page. A researcher writes SQL there and sees its cost and expected error before
// it runs, the answer as table and chart with intervals, the budget, the hospitals and the catalog.
//
// Contract: it consists of static files only. One of them, words.js, is written from the planner's tables when the
// daemon starts, so that no list of functions is kept here. The page gets all its data from the coordinator's HTTP API,
// with the reader's own token and under the API's rules. So the page can do nothing that the token's owner could not do
// with curl. A local account's token is kept in the browser tab's session storage and is sent only to the page's own
// origin. Somebody who signs in at an identity provider (internal/signin) has a cookie instead.
//
// assets/ holds plain ES modules, one for each part of the page. docs/console.md explains them, and integration/console
// tests them in a browser.
package console
