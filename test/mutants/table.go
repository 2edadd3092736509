package main

import (
	"io/fs"
	"os"
	"strings"
)

const (
	useCase = "internal/usecase/orderevent/"
	sql     = "internal/storage/postgres/sql/"
	storage = "./internal/storage/postgres "
)

// mutants are the guards of docs/guarantees.md.
var mutants = []mutant{
	{
		"ladder", useCase + "record.go",
		"if !r.State.CanBecome(to) {",
		"if false {",
		"./internal/usecase/orderevent TestDecideTable",
	},
	{
		"tombstone", useCase + "factory.go",
		"if rec.State == courier.StateCancelled {",
		"if false {",
		"./test/property TestAnyHistoryEndsInTheTruth",
	},
	{
		"GET shared only with what came before", useCase + "queue.go",
		"h.Received.Before(t.asked)",
		"true",
		"./internal/usecase/orderevent TestEventIsServedByALookThatBeganAfterItCame",
	},
	{
		"GET told before it begins", useCase + "ask.go",
		"asking(s.orderID)",
		"_ = asking",
		"./internal/usecase/orderevent TestGETIsToldBeforeItBegins",
	},
	{
		"own look serves no event", useCase + "queue.go",
		"h.event() && t.fresh &&",
		"h.event() &&",
		"./internal/usecase/orderevent TestLookThatIsToBeginServesEventsOnly",
	},
	{
		"one batch at a time", useCase + "queue.go",
		"case t.stage == stageInHand:",
		"case false:",
		"./internal/usecase/orderevent TestOrderIsInOneBatchAtATime",
	},
	{
		"submission not parted", useCase + "queue.go",
		"for n > 0 && n < len(q.line)",
		"for false && n < len(q.line)",
		"./internal/usecase/orderevent TestSubmissionIsNotParted",
	},
	{
		"one match at a time", useCase + "match.go",
		"matching: make(chan struct{}, 1)",
		"matching: make(chan struct{}, 9)",
		"./internal/usecase/orderevent TestOneMatchAtATime",
	},
	{
		"failed look serves nobody", useCase + "queue.go",
		"case failed == nil:",
		"case true:",
		"./internal/usecase/orderevent TestLookThatFailsServesNobody",
	},
	{
		"stored cancel hint", useCase + "factory.go",
		"rec.Hinted = max(rec.Hinted, s.said)",
		"_ = 0",
		"./test/faults TestDeletedWhileServiceOrderIsAway",
	},
	{
		"by-order freeing", sql + "orders_advance.sql",
		"order_id   = CASE WHEN c.order_id = ANY (t.order_ids) THEN NULL ELSE c.order_id END,",
		"order_id   = NULL,",
		storage + "TestFreeingIsByOrder",
	},
	{
		"guarded transition", sql + "orders_advance.sql",
		"AND o.state = i.was",
		"",
		storage + "TestStaleChangeHasNoEffect",
	},
	{
		"RETURNING", sql + "match.sql",
		"WHERE order_id = ANY (ARRAY(SELECT order_id FROM delivered))",
		"WHERE order_id = ANY (ARRAY(SELECT order_id FROM pairs))",
		storage + "TestMatchActsOnWhatWasInserted",
	},
	{
		"lost place is told", "internal/transport/kafka/claim.go",
		"if claim.InitialOffset() == sarama.OffsetOldest {\n\t\tif oldest",
		"if false {\n\t\tif oldest",
		"./test/faults TestOffsetsExpire",
	},
	{
		"a redrive's bound", "internal/transport/kafka/producer.go",
		"case <-limited.Done():",
		"case <-context.WithoutCancel(limited).Done():",
		"./internal/transport/kafka TestProducerGivesUpInTime",
	},
	{
		"sweep's overlap", "internal/worker/sweep.go",
		"until.Add(-SweepOverlap)",
		"until",
		"./internal/worker TestSweepRemembersOnlyWhatItFinished",
	},
	{
		"row lock", sql + "orders_lock.sql",
		"FOR UPDATE",
		"",
		storage + "TestLockedRecordIsReadAsTheOtherBatchLeftIt",
	},
	{
		"id sort", sql + "orders_insert.sql",
		"    FROM input\n    ORDER BY order_id\n",
		"    FROM input\n",
		storage + "TestBatchesOfTheSameOrdersNeverDeadlock",
	},
	{
		"token", useCase + "factory.go",
		"return s.token != 0 && s.token == rec.Look.Token",
		"return s.token != 0",
		"./internal/usecase/orderevent TestTokenGuardsANewerLook",
	},
	{
		"lease", sql + "orders_claim_due.sql",
		"look_due_at = now() + make_interval(secs => $2)",
		"look_due_at = now() + 0 * make_interval(secs => $2)",
		storage + "TestClaimIsALease",
	},
	{
		"mark after commit", "internal/transport/kafka/claim.go",
		"if !c.handOver(ctx, &in, records) {",
		"session.MarkMessage(records[len(records)-1], \"\"); if !c.handOver(ctx, &in, records) {",
		"./internal/transport/kafka TestOnKfake/nothing",
	},
	{
		"given up in an outage", "internal/transport/kafka/reader.go",
		"over := time.After(d)\n",
		"over := time.After(d)\n\tif <-over; d > 0 {\n\t\treturn ctx.Err() == nil\n\t}\n",
		"./internal/transport/kafka TestOnKfake/given_up_in_an_outage",
	},
	{
		"a pause ends with its claim", "internal/transport/kafka/claim.go",
		"defer in.resume()",
		"_ = in.resume",
		"./internal/transport/kafka TestOnKfake/paused_and_given_back",
	},
	{
		"begin at the oldest", "internal/transport/kafka/config.go",
		"sarama.OffsetOldest",
		"sarama.OffsetNewest",
		"./internal/transport/kafka TestOnKfake/new_group",
	},
	{
		"match timer", "internal/worker/match.go",
		"case <-timer.C:",
		"case <-(chan time.Time)(nil):",
		"./internal/worker TestMatchRunsWhenWokenAndOnATimer",
	},
	{
		"coalescing", useCase + "coalesce.go",
		"i, known := index[h.OrderID]",
		"i, known := 0, false",
		"./internal/usecase/orderevent TestCoalesce",
	},
	{
		"id check", "internal/courier/order.go",
		"if !isIDByte(s[i]) {",
		"if false && !isIDByte(s[i]) {",
		"./internal/courier TestParseOrderID",
	},
	{
		"missing gets nobody", sql + "match.sql",
		"AND o.missing_since IS NULL",
		"",
		storage + "TestMatchLeavesMissingAndHeldAlone",
	},
	{
		"breaker", useCase + "reconcile.go",
		"if s.kind() == kindUnavailable && r.orders.Tripped() {",
		"if false {",
		"./internal/usecase/orderevent TestNothingIsSavedWhileServiceOrderIsDownForEverybody",
	},
	{
		"distinct orders", "internal/gateway/order/breaker.go",
		"if _, again := b.failing[id]; again || len(b.failing) >= distinctFailures {",
		"if false {",
		"./internal/gateway/order TestBreakerStaysClosed",
	},
	{
		"orders that fail are no outage", "internal/gateway/order/breaker.go",
		"if _, err := b.next.Get(ctx, probeID); answered(err) {",
		"if false {",
		"./internal/gateway/order TestBreakerStaysClosed",
	},
	{
		"answer's own id", "internal/gateway/order/client.go",
		"id != string(asked)",
		"id == \"\"",
		"./internal/gateway/order TestGetUnusable",
	},
	{
		"held frees the courier", sql + "orders_advance.sql",
		"FROM moved WHERE state IN ('cancelled', 'held')",
		"FROM moved WHERE state = 'cancelled'",
		storage + "TestHeldFreesTheCourierAndKeepsThePlace",
	},
	{
		"only a free courier", "internal/storage/postgres/by_hand.go",
		"case status != courier.StatusAvailable:",
		"case false:",
		storage + "TestAssignByHand",
	},
	{
		"late under the lock", "internal/usecase/delivery/delivery.go",
		"if err != nil || !late {",
		"if _ = late; err != nil {",
		"./internal/usecase/delivery TestExpireIsOfWhatIsOpenAndLate",
	},
	{
		"refused, truth kept", "internal/usecase/delivery/delivery.go",
		"if courier.Refused(err) {",
		"if false {",
		"./internal/usecase/delivery TestWhatIsAllowed",
	},
	{
		"broker verified", "internal/transport/kafka/security.go",
		"&tls.Config{MinVersion: tls.VersionTLS12}",
		"&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}",
		"./internal/transport/kafka TestSecurity",
	},
	{
		"no PLAIN in the clear", "internal/config/kafka.go",
		"if c.KafkaSASLMechanism == SASLPlain && !c.KafkaTLS && !c.KafkaSASLPlainWithoutTLS {",
		"if false {",
		"./internal/config TestKafkaSecurity",
	},
	{
		"no DDL", sql + "grant.sql",
		"GRANT USAGE ON SCHEMA",
		"GRANT USAGE, CREATE ON SCHEMA",
		storage + "TestGrant",
	},
	{
		"files are read again", "internal/storage/postgres/db.go",
		"c.TLSConfig, c.Fallbacks, c.Password = fresh.TLSConfig, fresh.Fallbacks, fresh.Password",
		"_ = fresh",
		storage + "TestFilesAreReadAgain",
	},
	{
		"what was is taken back", "internal/storage/postgres/migrations/00005_statistics.sql",
		"REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries('-1');\nCREATE OR REPLACE TRIGGER courier_orders_deleted",
		"REFERENCING OLD TABLE AS changed FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION count_deliveries('-1');\nCREATE OR REPLACE TRIGGER courier_orders_deleted",
		storage + "TestStatisticsEqualARecount",
	},
	{
		"cancelled counts no more", "internal/storage/postgres/migrations/00005_statistics.sql",
		"o.state <> 'completed'", "o.state = 'completed'",
		storage + "TestStatisticsEqualARecount|TestOldDeliveriesKeepCounting",
	},
	{
		"no hot row", "internal/storage/postgres/migrations/00005_statistics.sql",
		"pg_backend_pid() % 16", "0",
		storage + "TestStatisticsHaveNoHotRow",
	},
	{
		"assigning is safe to repeat", "internal/usecase/orders/orders.go",
		"courierID != 0 && order.Delivery.CourierID != courierID", "false",
		"./internal/usecase/orders TestAssignIsSafeToRepeat",
	},
	{
		"the next fault told", "internal/outage/outage.go",
		"if begins || mend != \"\" && !l.told[mend] {",
		"if begins {",
		"./internal/outage TestTellsTheNextFault",
	},
	{
		"pause after a delivery", sql + "orders_advance.sql",
		"WHEN c.pause_after_delivery THEN 'paused' ELSE 'available' END,",
		"ELSE 'available' END,",
		storage + "TestPauseAfterDelivery",
	},
	{
		"a person locks the courier", "internal/storage/postgres/couriers_change.go",
		"` AND id = $1 FOR UPDATE`",
		"` AND id = $1`",
		"./test/api TestTwoWritersOneCourier",
	},
	{
		"If-Match", "internal/transport/rest/fleet.go",
		"if !m.matches(etagOf(newMemberBody(c))) {",
		"if false {",
		"./internal/transport/rest TestIfMatch",
	},
	{
		"role of a route", "internal/transport/rest/access.go",
		"case !caller.Role.Allows(needed):",
		"case false:",
		"./internal/transport/rest TestEveryRouteAsksForItsRole",
	},
	{
		"cross-origin writes", "internal/transport/rest/origin.go",
		"if protection.Check(r) != nil {",
		"if protection == nil {",
		"./internal/transport/rest TestCrossOrigin",
	},
	{
		"own name", "internal/transport/rest/origin.go",
		"if !isLoopback(r.Host) {",
		"if !isLoopback(\"localhost\") {",
		"./internal/transport/rest TestOwnName",
	},
}

// sources is the repository at root without what no test needs.
func sources(root string) fs.FS { return withoutHidden{os.DirFS(root)} }

// withoutHidden leaves out .git, bin and the like.
type withoutHidden struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (f withoutHidden) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(f.FS, name)
	kept := all[:0]
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), ".") && (name != "." || e.Name() != "bin") {
			kept = append(kept, e)
		}
	}
	return kept, err
}
