package config

import (
	"errors"
	"fmt"
	"net"

	"service-courier/internal/access"
)

func (c Config) checkHTTPAddr() error {
	if !listenable(c.HTTPAddr) {
		return fmt.Errorf("HTTP_ADDR %q: want host:port, such as 127.0.0.1:8082; a port is at most 65535", c.HTTPAddr)
	}
	return nil
}

// checkReach refuses an address that others can reach while nothing asks
// callers who they are: whoever reaches the port could change everything.
func (c Config) checkReach() error {
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil || isLoopback(host) || c.asksCallers() || c.Insecure {
		return nil //nolint:nilerr // checkHTTPAddr says it
	}
	return fmt.Errorf("HTTP_ADDR %q can be reached from outside and there are no tokens to ask callers for: "+
		"set API_TOKENS or API_TOKENS_FILE, use 127.0.0.1, or set INSECURE=1 where the network keeps others out", c.HTTPAddr)
}

// Open reports that everybody who reaches the API may use it, and that others
// than this machine's users do.
func (c Config) Open() bool { return !c.asksCallers() && !c.onLoopback() }

// Private reports that everybody who reaches the API may use it, and that only
// this machine's users do.
func (c Config) Private() bool { return !c.asksCallers() && c.onLoopback() }

func (c Config) onLoopback() bool {
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	return err == nil && isLoopback(host)
}

func (c Config) asksCallers() bool { return c.APITokens != "" || c.APITokensFile != "" }

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// checkTokens reads them, so that a bad one is told at the start.
func (c Config) checkTokens() error {
	switch {
	case c.APITokens != "" && c.APITokensFile != "":
		return errors.New("API_TOKENS and API_TOKENS_FILE are both set: keep one of them")
	case c.APITokensFile != "":
		if _, err := access.OpenFile(c.APITokensFile, nil); err != nil {
			return fmt.Errorf("API_TOKENS_FILE: %w", err)
		}
	case c.APITokens != "":
		tokens, err := access.Parse(string(c.APITokens))
		if err == nil && tokens.Len() == 0 {
			err = errors.New("no token in it: want name:role:token, several separated by commas")
		}
		if err != nil {
			return fmt.Errorf("API_TOKENS: %w", err)
		}
	}
	return nil
}

func (c Config) checkRateLimit() error {
	if c.RateLimit < 0 {
		return fmt.Errorf("RATE_LIMIT %d: want requests a second for each address, or 0 for no limit", c.RateLimit)
	}
	return nil
}

// checkPprof keeps profiles on this machine: they hold what is in memory.
func (c Config) checkPprof() error {
	if c.PprofAddr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.PprofAddr)
	if err != nil || !isLoopback(host) || !listenable(c.PprofAddr) {
		return fmt.Errorf("PPROF_ADDR %q: want an address of this machine alone, such as 127.0.0.1:6060; a port is at most 65535", c.PprofAddr)
	}
	return nil
}
