package outward

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// The values of Config.Proxy other than an address.
const (
	ProxyEnvironment = "env"
	ProxyNone        = "none"
)

// dialTime bounds the time to connect to the door, or to the proxy and through it.
const dialTime = 10 * time.Second

// ParseProxy reads Config.Proxy, and returns a function that gives the proxy for a door; nil: there is none.
func ParseProxy(text, door string) (func() (*url.URL, error), error) {
	switch text {
	case "", ProxyEnvironment:
		return func() (*url.URL, error) {
			return http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: door}})
		}, nil
	case ProxyNone:
		return func() (*url.URL, error) { return nil, nil }, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("a proxy is env, none, or its address, such as http://proxy.example.org:3128")
	}
	if u.User != nil {
		return nil, errors.New("a proxy's password does not belong into the configuration; give it in HTTPS_PROXY, and `proxy: env`")
	}
	return func() (*url.URL, error) { return u, nil }, nil
}

// connect connects to the door, through the proxy if there is one.
func connect(ctx context.Context, door string, proxy *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var dialer net.Dialer
	if proxy == nil {
		return dialer.DialContext(ctx, "tcp", door)
	}
	address := proxy.Host
	if proxy.Port() == "" {
		port := "80"
		if proxy.Scheme == "https" {
			port = "443"
		}
		address = net.JoinHostPort(proxy.Hostname(), port)
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the proxy %s: %w", address, err)
	}
	if proxy.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), MinVersion: tls.VersionTLS12})
	}
	through, err := tunnel(ctx, conn, door, proxy.User)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("the proxy %s: %w", address, err)
	}
	return through, nil
}

// tunnel asks a proxy for a tunnel to the door (RFC 9110, 9.3.6).
func tunnel(ctx context.Context, conn net.Conn, door string, user *url.Userinfo) (net.Conn, error) {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: door}, Host: door, Header: http.Header{}}
	if user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	read := bufio.NewReader(conn)
	response, err := http.ReadResponse(read, request)
	if err != nil {
		return nil, err
	}
	response.Body.Close()
	switch {
	case response.StatusCode == http.StatusProxyAuthRequired:
		return nil, errors.New("it wants a user and a password (407); give them in HTTPS_PROXY, as http://user:password@host:port")
	case response.StatusCode/100 != 2:
		return nil, fmt.Errorf("it makes no tunnel to the door: %s", response.Status)
	case read.Buffered() > 0: // the door never speaks first
		return nil, errors.New("it speaks where the door should")
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return conn, nil
}
