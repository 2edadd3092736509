package config

import (
	"net"
	"net/url"
	"strconv"
)

// listenable reports an address that can be listened on: host:port, where port 0
// is any and no host is every one of this machine.
func listenable(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	return err == nil && isPort(port)
}

// dialable reports an address that can be connected to.
func dialable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && host != "" && isPort(port) && port != "0"
}

// isHTTP reports a URL that can be asked.
func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Port() == "" || isPort(u.Port()))
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
