// Package session holds what a researcher sets once for many queries: the study that pays, the epsilon of a query,
// whether intervals come as columns. The HTTP API has them in each request, Flight SQL in headers, PostgreSQL in SET.
package session
