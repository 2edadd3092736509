package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/outage"
)

const (
	// diagnoseAfter is how long a broker may be silent before its listener is examined: one
	// with other security need not answer.
	diagnoseAfter   = time.Second
	diagnoseTimeout = 1500 * time.Millisecond // of one attempt
)

// try connects to a broker of the configuration and requests the topic. The error has its
// cause. ctx bounds it, and ends its connections.
func (c Config) try(ctx context.Context, addr string) error {
	tried := make(chan error, 1)
	go func() { tried <- c.request(ctx, addr) }()
	var err error
	select {
	case err = <-tried:
		if ctx.Err() != nil || !hasAnotherCause(err) {
			return explain(err)
		}
	case <-time.After(diagnoseAfter):
	}
	found := c.diagnose(ctx, addr)
	// Only a listener with other settings for TLS is silent. Others close the connection, and
	// one that does neither is slow.
	if err == nil && found != isTLS && found != noTLS {
		if err = <-tried; !hasAnotherCause(err) {
			return explain(err)
		}
	}
	if found.fix == "" {
		return explain(err)
	}
	if err == nil {
		err = errors.New("no answer")
	}
	return outage.Fixable{Cause: found.text, Err: fmt.Errorf("%s: %w", addr, err), Fix: found.fix}
}

// hasAnotherCause reports whether an error may come from settings that differ from the listener's.
func hasAnotherCause(err error) bool {
	return isBroken(err) || errors.Is(err, sarama.ErrUnsupportedSASLMechanism)
}

// request gets the metadata of the topic: without SASL, a listener that requires it answers
// no request before.
func (c Config) request(ctx context.Context, addr string) error {
	conf, err := c.sarama()
	if err != nil {
		return err
	}
	bindConnections(ctx, conf, c.Brokers)
	b := sarama.NewBroker(addr)
	defer func() { _ = b.Close() }()
	if err := b.Open(conf); err != nil {
		return err
	}
	if _, err := b.Connected(); err != nil { // waits for the first answers
		return err
	}
	_, err = b.GetMetadata(sarama.NewMetadataRequest(conf.Version, []string{c.Topic}))
	return err
}

// diagnose returns in what the listener of a broker differs from the configuration, by
// connecting in other ways. A broker closes a connection of another kind without a reason,
// or waits.
func (c Config) diagnose(ctx context.Context, addr string) cause {
	conf, err := c.sarama()
	if err != nil {
		return cause{}
	}
	plain := dialer{ctx: ctx, timeout: diagnoseTimeout, brokers: c.Brokers}
	encrypted := plain
	if !c.Security.TLS {
		offered, err := handshake(plain, addr) //nolint:contextcheck // the dialer has ctx
		if err == nil {
			return c.diagnoseSASL(ctx, addr, offered)
		}
		if encrypted.tls = (&tls.Config{MinVersion: tls.VersionTLS12}); encrypts(encrypted, addr) { //nolint:contextcheck // the dialer has ctx
			return isTLS
		}
		return cause{}
	}
	if _, err := handshake(plain, addr); err == nil { //nolint:contextcheck // the dialer has ctx
		return noTLS
	}
	encrypted.tls = conf.Net.TLS.Config
	offered, err := handshake(encrypted, addr) //nolint:contextcheck // the dialer has ctx
	if err != nil {
		return cause{}
	}
	return c.diagnoseSASL(ctx, addr, offered)
}

// diagnoseSASL gets the mechanisms of the listener.
func (c Config) diagnoseSASL(ctx context.Context, addr string, offered []string) cause {
	configured, list := c.Security.Mechanism, strings.Join(offered, ", ")
	if c.Security.Mechanism = ""; configured != "" && c.request(ctx, addr) == nil {
		return noSASL
	}
	switch {
	case len(offered) == 0 || slices.Contains(offered, configured):
		return cause{}
	case configured == "":
		return cause{"this Kafka listener requires SASL", "set KAFKA_SASL_MECHANISM to one of " + list + ", with a user and a password; or set another port in KAFKA_BROKERS"}
	}
	return cause{"Kafka does not offer this SASL mechanism", "set KAFKA_SASL_MECHANISM to one of " + list}
}

// encrypts reports whether a listener speaks TLS, whatever its certificate.
func encrypts(d dialer, addr string) bool {
	conn, err := d.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
		return true
	}
	_, refused := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return refused || alert
}

// handshake returns the SASL mechanisms of a listener, none if it uses no SASL. It is
// Kafka's first request, which brokers answer to anyone.
func handshake(d dialer, addr string) (mechanisms []string, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	d.ctx = ctx // its end closes the connection
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := kmsg.NewPtrSASLHandshakeRequest()
	request.Version, request.Mechanism = 1, "none"
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, request, 1)); err != nil {
		return nil, err
	}
	var header struct{ Size, CorrelationID int32 }
	if err := binary.Read(conn, binary.BigEndian, &header); err != nil {
		return nil, err
	}
	const most = 64 << 10
	if header.Size < 4 || header.Size > most || header.CorrelationID != 1 {
		return nil, errors.New("not an answer of Kafka")
	}
	body := make([]byte, header.Size-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	response := kmsg.NewPtrSASLHandshakeResponse()
	response.Version = request.Version
	if err := response.ReadFrom(body); err != nil {
		return nil, err
	}
	return response.SupportedMechanisms, nil
}
