// Package notify tells people what a daemon wants them to look at: by mail, or by a webhook.
//
// A daemon checks its state every few seconds, and lists the present Events. A Notifier delivers the new ones, each
// once by each way, and tries again until it succeeds. A file beside the ledger records the deliveries, so that a
// restart repeats nothing and loses nothing. An event that is no longer listed is forgotten: if it comes again, it is
// sent again.
//
// Contract: no message has a private value. Events are made from studies, policies, budgets, certificates and counts,
// never from an answer or a database's message. Nothing waits for a delivery: Watch runs beside the daemon, holds no
// lock while it sends, and ends with its context, a running delivery included. Mail is sent only over TLS. A webhook is
// called over HTTPS, or on this machine.
//
// The webhook is a POST of JSON, {"daemon": …, "events": [{kind, study, subject, text, key}]}, signed as in Standard
// Webhooks 1.0 (https://www.standardwebhooks.com). It has the headers webhook-id, webhook-timestamp and
// webhook-signature. The last one is "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body" with the secret's
// bytes. An answer of 2xx means that it was delivered.
package notify
