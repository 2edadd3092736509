package outage

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// TLS names the settings of one TLS client, for TLSFix.
type TLS struct {
	Switch      string // turns TLS on
	Address     string // of the server
	Authority   string // CA file that verifies the server
	Certificate string // the client's certificate and key files
}

// TLSFix returns how to fix a failed TLS handshake, "" for any other error.
func TLSFix(err error, s TLS) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		network   *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return "set " + s.Authority + " to the CA that signed the server's certificate"
	case errors.As(err, &name):
		return "set the host in " + s.Address + " to a name in the server's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or correct this machine's clock"
	case errors.As(err, &invalid):
		return "install a valid server certificate"
	case errors.As(err, &noTLS):
		return "unset " + s.Switch + ", or set a TLS port in " + s.Address
	case errors.As(err, &network) && network.Op == "remote error" && s.Certificate != "": // a TLS alert
		return s.CertificateFix()
	}
	return ""
}

// CertificateFix is what to do when the server refuses the client's certificate.
func (s TLS) CertificateFix() string {
	return "set a client certificate that the server accepts: " + s.Certificate
}
