package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/ordersim"
)

// traffic is some hundred changes a second, of more orders than there are couriers.
func (c *chaos) traffic(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.change(ctx); err != nil {
			c.check(err)
			return
		}
	}
}

// change changes an order, or says something untrue or unreadable.
func (c *chaos) change(ctx context.Context) error {
	o, luck := &c.orders, c.orders.luck
	lost := c.sweeping && luck.IntN(10) == 0
	switch dice := luck.IntN(100); {
	case len(o.open) < chaosCouriers || dice < 40 && len(o.open) < 2*chaosCouriers:
		return c.losing(lost, func() error {
			created, err := c.sim.Create()
			o.open = append(o.open, created.ID)
			return err
		})
	case dice < 60:
		return c.losing(lost, func() error { return c.sim.SetStatus(o.pick(), ordersim.StatusCompleted) })
	case dice < 75:
		return c.sim.Delete(o.pick()) // its event is never lost: that is for a person
	case dice < 90:
		c.sim.Emit(o.open[luck.IntN(len(o.open))], anyOf(luck, "created", "cooking", "completed", "delivered", "nonsense"))
	case dice < 98 && len(o.over) > 0:
		// No "deleted": it would be believed while service-order is forgetful.
		c.sim.Emit(o.over[luck.IntN(len(o.over))], anyOf(luck, "created", "delivering", "completed"))
	default:
		value := fmt.Sprintf(anyOf(luck, `{"order_id":"../%d"}`, `{"order_id":%d}`, `%d`, `{"order_id":"\u0000%d"`), luck.Uint64())
		c.poison[value] = true
		// The storm's end must not leave it open whether the record is there.
		record := &kgo.Record{Value: []byte(value)}
		return c.events.ProduceSync(context.WithoutCancel(ctx), record).FirstErr()
	}
	return nil
}

// losing loses the events of a change.
func (c *chaos) losing(lost bool, change func() error) error {
	c.sim.Mute(lost)
	defer c.sim.Mute(false)
	return change()
}

func anyOf(luck *rand.Rand, texts ...string) string { return texts[luck.IntN(len(texts))] }
