package proxy

import (
	"net"
	"net/http"
	"time"
)

// maxHead bounds the head of a request and of a response.
const maxHead = 1 << 20

// NewTransport makes connections to upstreams, HTTP/2 where they speak it, through the proxy that the environment
// names. It adds nothing to a request and decompresses nothing. There is no limit on how long a model thinks.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    30 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHead,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         32 << 10,
	}
}
