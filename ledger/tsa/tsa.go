// Package tsa carries timestamps over HTTP (RFC 3161 §3.4): the transport of timestamp.Client and the
// handler of the dev authority. What a token is worth, trust/timestamp decides.
package tsa

// The media types of RFC 3161 §3.4.
const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"
)
