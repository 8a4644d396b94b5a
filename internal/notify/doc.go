// Package notify tells people what a daemon wants them to look at: by mail, or by a webhook.
//
// A daemon looks at how it stands every few seconds and lists what is to be told, as Events; a Notifier delivers those
// that it has not delivered, each once by each way, and tries again until it has. What it has delivered is in a file
// beside the ledger, so that a restart repeats nothing and loses nothing. An event that is listed no more is forgotten:
// if it comes again, it is told again.
//
// Contract: nothing that is told holds a private value: events are made of what studies, policies, budgets,
// certificates and counts say, never of an answer or a database's message. Nothing waits for a delivery: Watch runs
// beside the daemon, holds no lock while it sends, and ends with its context, what it sends included. Mail is sent over
// TLS or not at all, a webhook over HTTPS, or to this machine.
//
// The webhook is a POST of JSON, {"daemon": …, "events": [{kind, study, subject, text, key}]}, signed as Standard
// Webhooks 1.0 has it (https://www.standardwebhooks.com): the headers webhook-id, webhook-timestamp and
// webhook-signature, which is "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body" with the secret's bytes. An
// answer of 2xx is a delivery.
package notify
