// Package httpapi is the coordinator's front door for researchers: JSON over HTTPS with a bearer token. It only
// translates. Package coordinator decides what may be asked and what is released.
//
//	POST /v1/query     answers: JSON, or by Accept NDJSON with progress, CSV, an Arrow stream, Parquet
//	POST /v1/outline   price, expected error and columns, from the plan alone; costs nothing
//	POST /v1/explain   plan, price, expected error, every engine's SQL; costs nothing
//	POST /v1/profile   about how many rows patients have in tables; asks, and costs, once
//	GET  /v1/me        whose token it is, and the studies
//	GET  /v1/budget    what is left of a study
//	GET  /v1/spending  what a study was charged, and when
//	GET  /v1/hospitals who is there
//	GET  /v1/catalog   the federation's tables
//	GET  /openapi.json the description of all this
//	GET  /healthz, /readyz
//
// The types of this package are the wire form, version 1: fields are added, but never changed or removed.
package httpapi
