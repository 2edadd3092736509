package order

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"service-courier/internal/outage"
)

// Explain adds cause and fix to an error of an OrderClient, for log and reports. The result
// does not match ErrUnavailable.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	cause, fix := causeOf(err)
	return outage.Fixable{Cause: cause, Err: detail(err), Fix: fix}
}

// detail is err without what its cause says already.
func detail(err error) error {
	text := strings.TrimPrefix(err.Error(), ErrNotServiceOrder.Error()+": ")
	return errors.New(strings.TrimPrefix(text, ErrUnavailable.Error()+": "))
}

// ExplainGRPC is Explain for the gRPC API, whose errors say no more than their text does.
func ExplainGRPC(err error) error {
	if err == nil {
		return nil
	}
	return outage.Fixable{
		Cause: "service-order's gRPC API does not answer", Err: detail(err),
		Fix: "start it, or correct ORDER_SERVICE_GRPC_ADDR and ORDER_SERVICE_GRPC_TLS; orders are fetched over HTTP meanwhile",
	}
}

var tlsSettings = outage.TLS{Switch: "https", Address: "ORDER_SERVICE_URL", Authority: "SSL_CERT_FILE"}

func causeOf(err error) (cause, fix string) {
	const logs = "see the log of service-order, and of what is in front of it"
	var (
		status  statusError
		host    *net.DNSError
		network net.Error
	)
	tlsFix := outage.TLSFix(err, tlsSettings)
	switch {
	case errors.Is(err, ErrNotServiceOrder):
		return "this does not look like service-order", "correct ORDER_SERVICE_URL"
	case errors.As(err, &status) && (status >= http.StatusInternalServerError || status == http.StatusTooManyRequests):
		return "service-order answers with an error", logs
	case errors.As(err, &status):
		return "service-order refuses the request", logs
	case errors.Is(err, http.ErrSchemeMismatch):
		return "service-order speaks HTTP, not HTTPS", "write http:// in ORDER_SERVICE_URL, or a port that uses TLS"
	case tlsFix != "":
		return "the TLS connection to service-order fails", tlsFix
	case errors.Is(err, syscall.ECONNREFUSED):
		return "service-order refuses connections", "start it, or correct ORDER_SERVICE_URL"
	case errors.As(err, &host) && host.IsNotFound:
		return "the host of ORDER_SERVICE_URL does not resolve", "correct it, or the entry in DNS"
	case errors.As(err, &network) && network.Timeout():
		return "service-order does not answer in time", "check that it runs at ORDER_SERVICE_URL and is not overloaded"
	case errors.As(err, &network), errors.Is(err, io.EOF):
		return "the connection to service-order fails", "check that it runs at ORDER_SERVICE_URL"
	}
	return "service-order does not answer as expected", logs
}
