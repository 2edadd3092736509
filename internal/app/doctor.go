package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/doctor"
	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
	"service-courier/internal/output"
)

// checkTimeout bounds each check, whatever hangs.
const checkTimeout = 3 * time.Second

// Doctor examines the service's settings and everything they lead to, and says
// what is wrong and how to mend it. It changes nothing. The error says how many
// checks failed.
func Doctor(ctx context.Context, w output.Writer) error {
	report := diagnose(ctx)
	write := report.WriteText
	switch w.Format {
	case output.JSON:
		write = report.WriteJSON
	case output.NDJSON:
		write = report.WriteLines
	case output.Table:
	}
	if err := write(w.Out); err != nil {
		return err
	}
	switch failed := report.Count(doctor.Fail); failed {
	case 0:
		return nil
	case 1:
		return errors.New("1 check failed")
	default:
		return fmt.Errorf("%d checks failed", failed)
	}
}

// diagnose asks the three neighbours at the same time, since each may take its
// time to say nothing. What is set wrong keeps only its own part from being asked.
func diagnose(ctx context.Context) doctor.Report {
	cfg, err := config.Load()
	parts := []func(context.Context, config.Config) []doctor.Finding{examineDatabase, examineKafka, examineOrderService}
	findings := make([][]doctor.Finding, len(parts))
	var group sync.WaitGroup
	for i, examine := range parts {
		group.Go(func() { findings[i] = examine(ctx, cfg) })
	}
	group.Wait()
	report := doctor.Report{settingsFinding(err)}
	for _, f := range findings {
		report = append(report, f...)
	}
	return report
}

const checkSettings = "settings"

// settingsFinding lists every bad setting.
func settingsFinding(err error) doctor.Finding {
	if err == nil {
		return doctor.Okay(checkSettings, "usable")
	}
	title, lines, _ := strings.Cut(err.Error(), "\n")
	title, _, _ = strings.Cut(title, " near ") // a .env that cannot be parsed would be quoted from there, secrets and all
	f := doctor.Failure(checkSettings, strings.TrimSuffix(title, ":"), "correct the environment or the file .env")
	if lines != "" {
		f = f.With(strings.Split(lines, "\n")...)
	}
	return f
}

const checkOrderService = "service-order"

// examineOrderService asks for an order that nobody has: a 404 is an answer.
func examineOrderService(ctx context.Context, cfg config.Config) []doctor.Finding {
	const mend = "start service-order, or correct ORDER_SERVICE_URL; events wait in Kafka until it answers"
	client, err := order.NewHTTPClient(order.Config{BaseURL: cfg.OrderServiceURL, Timeout: checkTimeout, Concurrency: 1})
	if err != nil { // which shows the URL, password and all
		return []doctor.Finding{doctor.Failure(checkOrderService, "not asked: ORDER_SERVICE_URL is not usable", "want http://host:port")}
	}
	defer client.Close()
	if _, err := client.Get(ctx, "doctor"); err != nil && !errors.Is(err, order.ErrNotFound) {
		return []doctor.Finding{doctor.Failure(checkOrderService, err.Error(), mend)}
	}
	return []doctor.Finding{doctor.Okay(checkOrderService, "answers")}
}

// notKnown are the findings of checks that another failure makes impossible.
func notKnown(why string, checks ...string) []doctor.Finding {
	findings := make([]doctor.Finding, len(checks))
	for i, check := range checks {
		findings[i] = doctor.Warning(check, "not known: "+why, "")
	}
	return findings
}

// failure is what err says, with its own word on how to mend it where it has one.
func failure(check string, err error, mend string) doctor.Finding {
	if m, ok := errors.AsType[outage.Mendable](err); ok {
		return doctor.Failure(check, m.Err.Error(), m.Mend)
	}
	return doctor.Failure(check, err.Error(), mend)
}

// roughly is a duration that a person can read.
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
