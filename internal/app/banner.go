package app

import (
	"fmt"
	"strings"
)

// banner says what runs where, whether it is kept, and what to try.
func (d *dev) banner() {
	kept := "nothing is kept: all is gone with Ctrl-C (--data DIR keeps it)"
	if d.cfg.DataDir != "" {
		kept = "everything is kept in " + d.cfg.DataDir
	}
	traffic := "an order every few seconds, now and then a burst that makes a line"
	if d.cfg.Quiet {
		traffic = "none of its own"
	}
	service, orders := "http://"+d.httpAddr, "http://"+d.sim.Addr()
	fmt.Fprint(d.out, strings.NewReplacer(
		"{service}", service, "{orders}", orders, "{kafka}", d.kafka.Addr(), "{topic}", devTopic,
		"{postgres}", d.postgres.URL(devDatabase), "{traffic}", traffic, "{kept}", kept,
	).Replace(`
service-courier  dev
  service        {service}      couriers, health, /metrics, /openapi.json
  service-order  {orders}      the simulated neighbour; traffic: {traffic}
  kafka          {kafka}             topic {topic}, 6 partitions
  postgresql     {postgres}
  data           {kept}

try
  curl {service}/couriers
  curl -X POST {service}/courier -H 'Content-Type: application/json' \
       -d '{"name":"Lev","phone":"+70000000099","status":"available","transport_type":"car"}'
  curl -X POST {orders}/public/api/v1/order -H 'X-Bypass-Auth: true' -H 'Content-Type: application/json' \
       -d '{"restaurant_id":"r1","items":[{"food_id":"f1","name":"soup","quantity":1,"price":300}],"total_price":300,"address":{"street":"Main St"}}'
  curl -X DELETE -H 'X-Bypass-Auth: true' {orders}/public/api/v1/order/ORDER_ID      cancels it
  psql '{postgres}' -c 'table couriers'

`))
}
