package app

import (
	"context"
	"errors"
	"fmt"

	"service-courier/internal/config"
	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/outbox"
	"service-courier/internal/worker"
)

// periodicTasks returns the tasks that run until the service stops. Matching is not
// among them: it outlives the consumer.
func (a *App) periodicTasks() []worker.Task {
	health, deadLetters := postgres.NewHealth(a.pool), deadletters.New(postgres.NewDeadLetters(a.pool))
	leader := func(lock postgres.Lock) worker.Leader { return postgres.NewLeader(a.pool, lock) }
	service := gate{a.orderService, a.breaker}
	tasks := []worker.Task{
		worker.Recheck(a.orderStore, service, a.batcher, a.log),
		a.resyncer.Task(a.cfg.ResyncInterval, leader(postgres.ResyncLock), service),
		worker.Monitor(health, a.metrics.SetActiveOrders, a.log),
		worker.InvariantCheck(leader(postgres.InvariantCheckLock), violations(health), a.metrics.InvariantsChecked, a.log),
		worker.CountDeliveries(postgres.NewStatistics(a.pool).Count),
		worker.PurgeDeadLetters(deadLetters.Purge, a.log),
		worker.OrderServiceHTTP(a.breaker.Check),
	}
	if a.dual != nil {
		tasks = append(tasks, worker.OrderServiceGRPC(a.dual.Check))
	}
	if a.cfg.DeliveryOverdue == config.OverdueHold {
		tasks = append(tasks, worker.ExpireOverdue(a.orderStore.Overdue, a.orders.Expire, service, a.log))
	}
	if a.events != nil {
		publish := outbox.New(postgres.NewTransitions(a.pool), postgres.NewOutbox(a.pool), a.events).Publish
		tasks = append(tasks, worker.Outbox(leader(postgres.OutboxLock), publish, a.brokers))
	}
	if a.cfg.Retention > 0 {
		retention := worker.Retention{Age: a.cfg.Retention, Remove: postgres.NewRetention(a.pool, a.events != nil).Remove, TopicAge: topicRetention(a.cfg), Log: a.log}
		tasks = append(tasks, retention.Task(leader(postgres.RetentionLock)))
	}
	return tasks
}

// gate is service-order as the tasks see it.
type gate struct {
	orderevent.OrderService

	breaker *order.Breaker
}

// Answers implements worker.Gate.
func (g gate) Answers(ctx context.Context) error { return g.breaker.Answers(ctx) }

// violations returns the check of the invariants.
func violations(health *postgres.Health) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		found, err := health.Violations(ctx)
		if errors.Is(err, postgres.ErrStatementCancelled) {
			err = fmt.Errorf("%w: %w", worker.ErrNotChecked, err)
		}
		return found, err
	}
}

// onDatabase returns tasks that report an outage of PostgreSQL together, as one.
func (a *App) onDatabase(tasks ...worker.Task) []worker.Task {
	for i := range tasks {
		tasks[i].Needs = append(tasks[i].Needs, a.database)
	}
	return tasks
}
