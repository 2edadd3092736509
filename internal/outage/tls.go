package outage

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// TLS names the settings of one client, for MendTLS.
type TLS struct {
	Switch      string // turns TLS on
	Address     string // of the server
	Authority   string // file of those who may vouch for the server
	Certificate string // files of the client's own certificate
}

// MendTLS says how to mend what keeps TLS from coming about, "" for any other
// error.
func MendTLS(err error, s TLS) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		network   *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return s.Authority + " must hold the authority that signed the server's certificate"
	case errors.As(err, &name):
		return "name the server in " + s.Address + " as its certificate does"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or set this machine's clock right"
	case errors.As(err, &invalid):
		return "give the server a certificate that is valid for one"
	case errors.As(err, &noTLS):
		return "unset " + s.Switch + ", or name a port in " + s.Address + " where TLS is spoken"
	case errors.As(err, &network) && network.Op == "remote error": // an alert
		return "give this client a certificate that the server accepts: " + s.Certificate
	}
	return ""
}
