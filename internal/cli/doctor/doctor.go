// Package doctor checks the settings and everything they lead to, and names the fix
// of each problem. It changes nothing.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"service-courier/internal/cli/output"
	"service-courier/internal/config"
	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
)

const (
	// checkTimeout bounds each check.
	checkTimeout = 3 * time.Second
	// answerTimeout bounds each answer of a running server. It is more than the server's own
	// timeout (5 s), so that the answer says which dependency is slow.
	answerTimeout = 6 * time.Second

	checkSettings = "settings"
	checkOrders   = "service-order"

	// dependsOnSettings: the finding of the settings names the invalid one.
	dependsOnSettings = "depends on " + checkSettings
)

// Run prints a report. The error says how many checks failed.
func Run(ctx context.Context, w output.Writer) error {
	return diagnose(ctx).print(w)
}

// print writes the report. The error says how many checks failed.
func (r Report) print(w output.Writer) error {
	if err := r.write(w); err != nil {
		return err
	}
	switch failed := r.Count(Fail); failed {
	case 0:
		return nil
	case 1:
		return errors.New("1 check failed")
	default:
		return fmt.Errorf("%d checks failed", failed)
	}
}

// diagnose checks the dependencies at the same time. An invalid setting
// prevents only the checks that need it.
func diagnose(ctx context.Context) Report {
	cfg, err := config.Load()
	checks := []func(context.Context, config.Config) []Finding{checkDatabase, checkBrokers, checkOrderService, checkOrderServiceGRPC}
	findings := make([][]Finding, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() { findings[i] = check(ctx, cfg) })
	}
	group.Wait()
	report := Report{settingsFinding(err)}
	for _, f := range findings {
		report = append(report, f...)
	}
	return report
}

// settingsFinding lists every invalid setting.
func settingsFinding(err error) Finding {
	if err == nil {
		return okay(checkSettings, "valid")
	}
	title, lines, _ := strings.Cut(err.Error(), "\n")
	f := failure(checkSettings, strings.TrimSuffix(title, ":"), "correct the environment or the file .env")
	if lines != "" {
		f = f.with(strings.Split(lines, "\n")...)
	}
	return f
}

func checkOrderService(ctx context.Context, cfg config.Config) []Finding {
	const check = checkOrders
	if cfg.CheckOrderServiceURL() != nil {
		return unknown(dependsOnSettings, check)
	}
	client, err := order.NewHTTPClient(order.Config{BaseURL: cfg.OrderServiceURL, Timeout: checkTimeout, Concurrency: 1})
	if err != nil {
		return []Finding{failureOf(check, err, "correct ORDER_SERVICE_URL")}
	}
	defer client.Close()
	err = order.Check(ctx, client)
	if err == nil { // another service may have the same errors; its list differs
		err = client.List(ctx, time.Now(), func(order.Order) error { return nil })
	}
	if err != nil {
		return []Finding{failureOf(check, order.Explain(err), "")}
	}
	return []Finding{okay(check, "answers")}
}

func checkOrderServiceGRPC(ctx context.Context, cfg config.Config) []Finding {
	const check = "service-order gRPC"
	if cfg.OrderServiceGRPCAddr == "" {
		return nil
	}
	if cfg.CheckOrderServiceGRPC() != nil {
		return unknown(dependsOnSettings, check)
	}
	client, err := order.NewGRPCClient(order.GRPCConfig{Addr: cfg.OrderServiceGRPCAddr, TLS: cfg.OrderServiceGRPCTLS, Timeout: checkTimeout})
	if err != nil {
		return []Finding{failureOf(check, err, "correct ORDER_SERVICE_GRPC_ADDR")}
	}
	defer func() { _ = client.Close() }()
	if err := order.CheckGRPC(ctx, client); err != nil {
		return []Finding{failureOf(check, order.ExplainGRPC(err), "")}
	}
	return []Finding{okay(check, "answers")}
}

// unknown are the findings of checks that an earlier failure prevents.
func unknown(why string, checks ...string) []Finding {
	findings := make([]Finding, len(checks))
	for i, check := range checks {
		findings[i] = warning(check, "not known: "+why, "")
	}
	return findings
}

// failureOf prefers the fix of err, if it has one.
func failureOf(check string, err error, fix string) Finding {
	return failed(check, err.Error(), outage.FixOf(err), fix)
}

// failed is a failure whose detail ends with its fix, if that is known; otherwise has another.
func failed(check, detail, fix, otherwise string) Finding {
	return failure(check, strings.TrimSuffix(detail, "; "+fix), cmp.Or(fix, otherwise))
}

// roughly rounds a duration for reading.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}
