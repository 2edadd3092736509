package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"service-courier/internal/config"
)

const (
	readyWithin = 10 * time.Second // then the banner says that it is still joining
	readyEvery  = 20 * time.Millisecond
)

// devService is the service at work, as `serve` would run it.
type devService struct {
	addr  string // host:port of its HTTP
	ready bool   // it said so when it was last asked
	done  chan struct{}
	err   error // why it ended, once done
}

func (d *dev) startService(ctx context.Context) error {
	err := onPort(d.cfg.HTTPPort, DefaultHTTPPort, func(addr string) error { return d.runService(ctx, addr) })
	if err != nil {
		return err
	}
	return d.service.awaitReady(ctx)
}

// runService returns when the service listens, or cannot.
func (d *dev) runService(ctx context.Context, addr string) error {
	s, err := newService(ctx, config.Config{
		HTTPAddr:        addr,
		DatabaseURL:     d.databaseURL(),
		KafkaBrokers:    []string{d.kafka.Addr()},
		KafkaTopic:      devTopic,
		KafkaGroupID:    devGroup,
		OrderServiceURL: "http://" + d.sim.Addr(),
		SweepInterval:   devSweepInterval,
	}, d.log)
	if err != nil {
		return err
	}
	running := &devService{done: make(chan struct{})}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx)) // down ends it, in its turn
	go func() {
		defer close(running.done)
		running.err = s.run(inner)
	}()
	for s.http.Addr() == "" && running.runs() {
		running.pause(ctx, time.Millisecond)
	}
	if !running.runs() {
		cancel()
		return running.err
	}
	running.addr, d.service = s.http.Addr(), running
	d.onDown(func(context.Context) error { // bounds itself
		cancel()
		<-running.done
		return running.err
	})
	return nil
}

// awaitReady asks the service as anybody would, until it is a member of its
// group and everything else answers. That it takes long is no error.
func (r *devService) awaitReady(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	limit, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for limit.Err() == nil && r.runs() {
		if r.ready = isReady(limit, client, r.addr); r.ready {
			return nil
		}
		r.pause(limit, readyEvery)
	}
	if !r.runs() {
		return errors.Join(errors.New("the service ended while starting"), r.err)
	}
	return ctx.Err()
}

func isReady(ctx context.Context, client *http.Client, addr string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/readyz", addr), http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (r *devService) runs() bool {
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// pause waits, at most until ctx or the service ends.
func (r *devService) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-r.done:
	}
}

// devSweepInterval shows the sweep's work to somebody who watches.
const devSweepInterval = 10 * time.Second
