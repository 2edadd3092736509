package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

// Records is the use case of package records. Its errors match the sentinels of packages
// records, deadletters and courier.
type Records interface {
	Topics() []string
	Read(ctx context.Context, topic string, q records.Query) ([]records.Described, error)
	Publish(ctx context.Context, key, value []byte) (deadletters.RecordPosition, error)
}

type recordsAPI struct{ records Records }

const recordsPath = versioned + "/records"

func (a *api) registerRecords(use Records) {
	r := recordsAPI{use}
	register(a, read, huma.Operation{
		OperationID: "list-records", Method: http.MethodGet, Path: recordsPath, Tags: []string{"records"},
		Summary: "List records of a topic, and what became of each",
		Description: "The newest of each partition, or those from an offset or a time on, by partition and offset. Reading commits no offset and does not disturb the consumer. " +
			"pending: not processed yet; applied: it changed its order; deferred: the order is to be rechecked; duplicate and superseded: it changed nothing, since the order was there, or further, already; dead_letter: it can never be processed. " +
			"Records of the topic of assignment events have a type, courier and sequence instead of a status and an outcome.",
		Errors: []int{http.StatusForbidden, http.StatusServiceUnavailable},
	}, r.list)
	a.nameTopics(use.Topics())
	register(a, operate, huma.Operation{
		OperationID: "publish-record", Method: http.MethodPost, Path: recordsPath, Tags: []string{"records"},
		Summary: "Publish a record to the order topic", DefaultStatus: http.StatusCreated,
		Description: "For tests of the consumer, or to repeat an event that was lost. The record need not be valid. Any record is only a hint to fetch the order.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, r.publish)
}

// nameTopics documents the topics, which are the operator's choice, and refuses all others.
func (a *api) nameTopics(topics []string) {
	for _, p := range a.OpenAPI().Paths[recordsPath].Get.Parameters {
		if p.Name == "topic" {
			for _, name := range topics {
				p.Schema.Enum = append(p.Schema.Enum, name)
			}
			p.Schema.Default = topics[0]
			p.Schema.PrecomputeMessages()
		}
	}
}

type recordsInput struct {
	Topic     string    `query:"topic" doc:"KAFKA_ORDER_TOPIC, or, if it is set, KAFKA_ASSIGNMENT_TOPIC"`
	Partition int64     `query:"partition" minimum:"-1" maximum:"2147483647" default:"-1" doc:"only this partition; -1: all"`
	Offset    int64     `query:"offset" minimum:"-1" default:"-1" doc:"from this offset on; -1: the newest records"`
	Since     time.Time `query:"since" doc:"from this time on"`
	Limit     int       `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"maximum number of records of each partition"`
}

type recordBody struct {
	Partition    int32          `json:"partition" minimum:"0"`
	Offset       int64          `json:"offset" minimum:"0"`
	At           time.Time      `json:"at"`
	Key          []byte         `json:"key" nullable:"true" doc:"in base64"`
	Value        []byte         `json:"value" nullable:"true" doc:"the first 4 KiB, in base64"`
	ValueBytes   int            `json:"value_bytes" minimum:"0" doc:"length of the whole value"`
	Headers      []recordHeader `json:"headers" nullable:"false"`
	OrderID      string         `json:"order_id,omitempty" doc:"of a valid record"`
	Status       string         `json:"status,omitempty" doc:"as the record claims" example:"created"`
	Type         string         `json:"type,omitempty" doc:"of an assignment event" example:"assigned"`
	CourierID    int64          `json:"courier_id,omitempty" doc:"of an assignment event"`
	Sequence     int64          `json:"sequence,omitempty" doc:"of an assignment event"`
	Outcome      string         `json:"outcome,omitempty" enum:"pending,applied,deferred,duplicate,superseded,dead_letter" doc:"of every record of the order topic"`
	State        string         `json:"state,omitempty" doc:"of the order now"`
	Applied      string         `json:"applied_state,omitempty" doc:"the state that the record moved its order to"`
	DeadLetterID int64          `json:"dead_letter_id,omitempty"`
	RecheckAt    time.Time      `json:"recheck_at,omitzero"`
	Recheck      string         `json:"recheck_reason,omitempty"`
}

type recordsBody struct {
	Items []recordBody `json:"items" nullable:"false"`
}

func newRecordBody(d records.Described) recordBody {
	body := recordBody{
		d.Partition, d.Offset, d.At.UTC(), d.Key, d.Value, d.Size, make([]recordHeader, len(d.Headers)), string(d.OrderID), d.Status,
		d.Type, d.CourierID, d.Sequence, string(d.Outcome), string(d.State), string(d.Applied), d.DeadLetterID, d.RecheckAt.UTC(), d.RecheckReason,
	}
	for i, h := range d.Headers {
		body.Headers[i] = recordHeader(h)
	}
	return body
}

func (r recordsAPI) list(ctx context.Context, in *recordsInput) (*output[recordsBody], error) {
	found, err := r.records.Read(ctx, in.Topic, records.Query{Partition: int32(in.Partition), Offset: in.Offset, Since: in.Since, Limit: in.Limit})
	body := recordsBody{make([]recordBody, len(found))} // never null
	for i, d := range found {
		body.Items[i] = newRecordBody(d)
	}
	return respond(body, err)
}

type newRecord struct {
	Key   string `json:"key,omitempty" maxLength:"1024"`
	Value string `json:"value" maxLength:"16384" doc:"as text, not in base64 as listed" example:"{\"order_id\":\"o-1\",\"status\":\"created\"}"`
}

type recordPosition struct {
	Partition int32 `json:"partition" minimum:"0"`
	Offset    int64 `json:"offset" minimum:"0"`
}

func (r recordsAPI) publish(ctx context.Context, in *input[newRecord]) (*output[recordPosition], error) {
	var key []byte
	if in.Body.Key != "" {
		key = []byte(in.Body.Key)
	}
	at, err := r.records.Publish(ctx, key, []byte(in.Body.Value))
	return respond(recordPosition{at.Partition, at.Offset}, err)
}
