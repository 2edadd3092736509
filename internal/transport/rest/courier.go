package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// Couriers is the use case of package couriers. Its errors match the sentinels of
// package courier.
type Couriers interface {
	Register(ctx context.Context, c courier.Courier) (id int64, err error)
	Ensure(ctx context.Context, c courier.Courier) (registered courier.Courier, created bool, err error)
	Get(ctx context.Context, id int64) (courier.Courier, error)
	Page(ctx context.Context, f couriers.Filter, after int64, limit int) ([]courier.Courier, error)
	Change(ctx context.Context, id int64, f couriers.Fields, expect couriers.Expect) (courier.Courier, error)
	Pause(ctx context.Context, id int64, afterDelivery bool, expect couriers.Expect) (courier.Courier, error)
	Resume(ctx context.Context, id int64, expect couriers.Expect) (courier.Courier, error)
	Delete(ctx context.Context, id int64, expect couriers.Expect) error
	Day(ctx context.Context, id int64, start time.Time) (couriers.Day, error)
}

type couriersAPI struct {
	*api
	couriers Couriers
}

const (
	couriersPath = versioned + "/couriers"
	courierPath  = couriersPath + "/{courier_id}"
)

func (a *api) registerCouriers(use Couriers) {
	c := couriersAPI{a, use}
	a.registerCourseCouriers(c)
	conflicts := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable}
	register(a, read, courierOperation("list-couriers", http.MethodGet, couriersPath, "List couriers by id", "", http.StatusServiceUnavailable), c.page)
	register(a, read, courierOperation("get-courier", http.MethodGet, courierPath, "Get a courier", "",
		http.StatusNotFound, http.StatusServiceUnavailable), c.get)
	register(a, read, courierOperation("list-courier-deliveries", http.MethodGet, courierPath+"/deliveries", "List the deliveries of a courier on a day",
		"In order of their beginning: those that began or ended on that day (UTC), however they ended, and the open one. "+
			"The first 200,000 transitions of all orders on that day are read; of a day that has more, until says how far the list goes.",
		http.StatusNotFound, http.StatusServiceUnavailable), c.deliveries)
	create := courierOperation("create-courier", http.MethodPost, couriersPath, "Register a courier",
		"Safe to repeat: 200 with the courier when the phone is registered with the same name and transport. 409: the phone is registered with another name or transport, or the status is busy.",
		http.StatusConflict, http.StatusServiceUnavailable)
	create.DefaultStatus = http.StatusCreated
	register(a, operate, create, c.create)
	responses := a.OpenAPI().Paths[couriersPath].Post.Responses
	existing := *responses["201"]
	existing.Description = "The courier already exists"
	responses["200"] = &existing
	register(a, operate, courierOperation("change-courier", http.MethodPatch, courierPath, "Change the name, phone or transport of a courier",
		"Omitted fields stay as they are, and so does the deadline of an open delivery. 409: the phone is already registered.", conflicts...), c.change)
	register(a, operate, courierOperation("pause-courier", http.MethodPost, courierPath+"/pause", "Pause a courier: no more orders are assigned to them",
		"Safe to repeat. 409: the courier has an open delivery, and after_delivery is not set.", conflicts...), c.pause)
	register(a, operate, courierOperation("resume-courier", http.MethodPost, courierPath+"/resume", "Make a paused courier available",
		"Safe to repeat. It also cancels a pause after the current delivery.",
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable), c.resume)
	remove := courierOperation("delete-courier", http.MethodDelete, courierPath, "Delete a courier",
		"Their deliveries stay in the history and in the statistics; the phone may be registered again. 409: the courier has an open delivery. 404: also when deleted before.", conflicts...)
	remove.DefaultStatus = http.StatusNoContent
	register(a, operate, remove, c.remove)
}

func courierOperation(id, method, path, summary, description string, errs ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{"couriers"},
		Summary: summary, Description: description, Errors: errs,
	}
}

// CourierSummaryBody is a courier in the responses of the course's routes.
type CourierSummaryBody struct {
	ID            int64  `json:"id" minimum:"1" example:"7"`
	Name          string `json:"name" example:"Anna"`
	Phone         string `json:"phone" doc:"in E.164" example:"+79000000001"`
	Status        string `json:"status" enum:"available,busy,paused"`
	TransportType string `json:"transport_type" enum:"on_foot,scooter,car"`
}

func newCourierSummaryBody(c courier.Courier) CourierSummaryBody {
	return CourierSummaryBody{c.ID, c.Name, c.Phone, string(c.Status), string(c.Transport)}
}

type courierBody struct {
	CourierSummaryBody

	PauseAfterDelivery bool   `json:"pause_after_delivery" doc:"the courier is paused when the open delivery ends"`
	OrderID            string `json:"order_id,omitempty" doc:"of the open delivery"`
	Deliveries         int64  `json:"deliveries" minimum:"0" doc:"completed deliveries"`
}

func newCourierBody(c courier.Courier) courierBody {
	return courierBody{newCourierSummaryBody(c), c.PauseAfter, string(c.OrderID), c.Deliveries}
}

// label is a name or a phone: text without NUL, not only spaces, as
// courier.Validate requires. The tag of a field limits its length.
type label string

// Schema implements huma.SchemaProvider.
func (label) Schema(huma.Registry) *huma.Schema {
	shortest := 1
	return &huma.Schema{
		Type: huma.TypeString, MinLength: &shortest,
		Pattern: `^[^\x00]*[^\s\x00][^\x00]*$`, PatternDescription: "text without NUL, not only spaces",
	}
}

// newCourierRequest has the lengths of courier.MaxNameLen and courier.MaxPhoneLen. busy
// passes the schema, so that it is refused with its own problem.
type newCourierRequest struct {
	Name          label  `json:"name" maxLength:"200" example:"Anna"`
	Phone         label  `json:"phone" maxLength:"32" doc:"a phone number in any usual spelling; stored in E.164, unique" example:"+79000000001"`
	Status        string `json:"status,omitempty" enum:"available,busy,paused" default:"available" doc:"busy is refused: a courier becomes busy only by an assignment"`
	TransportType string `json:"transport_type" enum:"on_foot,scooter,car"`
}

func (b newCourierRequest) courier() courier.Courier {
	return courier.Courier{
		Name: string(b.Name), Phone: string(b.Phone), Status: courier.Status(b.Status), Transport: courier.Transport(b.TransportType),
	}
}

type couriersInput struct {
	PageInput

	Status        string `query:"status" enum:"available,busy,paused" doc:"list only these couriers"`
	TransportType string `query:"transport_type" enum:"on_foot,scooter,car" doc:"list only these couriers"`
}

func (c couriersAPI) page(ctx context.Context, in *couriersInput) (*output[page[courierBody]], error) {
	after, err := decodeCursor[idKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	filter := couriers.Filter{Status: courier.Status(in.Status), Transport: courier.Transport(in.TransportType)}
	found, err := c.couriers.Page(ctx, filter, after.ID, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return respond(newPage(found, in.Limit, newCourierBody, func(c courier.Courier) idKey { return idKey{c.ID} }), nil)
}

// CourierInput is a courier id in the path.
type CourierInput struct {
	CourierID int64 `path:"courier_id" minimum:"1" example:"7"`
}

// taggedOutput is a courier with its ETag, which is the same by either route.
type taggedOutput[B any] struct {
	ETag string `header:"ETag" doc:"for If-Match of a change"`
	Body B
}

func respondTagged[B any](c courier.Courier, body B, err error) (*taggedOutput[B], error) {
	if err != nil {
		return nil, err
	}
	return &taggedOutput[B]{etagOf(c), body}, nil
}

func respondCourier(c courier.Courier, err error) (*taggedOutput[courierBody], error) {
	return respondTagged(c, newCourierBody(c), err)
}

func (c couriersAPI) get(ctx context.Context, in *CourierInput) (*taggedOutput[courierBody], error) {
	return respondCourier(c.couriers.Get(ctx, in.CourierID))
}

type courierDayInput struct {
	CourierInput

	Day day `query:"day" required:"true" format:"date" pattern:"^[2-9]" doc:"2000-01-01 or later" example:"2026-11-30"`
}

type courierDelivery struct {
	OrderID  string    `json:"order_id" example:"8e1eda8f-7b6b-41a9-9b9c-66a2d6592647"`
	State    string    `json:"state" enum:"assigned,held,completed,cancelled" doc:"assigned: not ended on that day; otherwise how the delivery ended. held: taken off the courier by a dispatcher or the deadline"`
	From     time.Time `json:"from,omitzero" doc:"when the order was assigned; omitted: before that day"`
	To       time.Time `json:"to,omitzero" doc:"when the delivery ended; omitted: it is open, or ended after that day"`
	Deadline time.Time `json:"deadline,omitzero" doc:"omitted for a delivery that began before that day and has ended"`
}

type courierDeliveries struct {
	Day   string            `json:"day" format:"date" example:"2026-11-30"`
	Zone  string            `json:"zone" enum:"UTC" doc:"time zone of the day"`
	Until time.Time         `json:"until,omitzero" doc:"the list goes up to this time; omitted: to the end of the day"`
	Items []courierDelivery `json:"items" nullable:"false"`
}

func (c couriersAPI) deliveries(ctx context.Context, in *courierDayInput) (*output[courierDeliveries], error) {
	found, err := c.couriers.Day(ctx, in.CourierID, time.Time(in.Day))
	body := courierDeliveries{time.Time(in.Day).Format(time.DateOnly), "UTC", found.Until.UTC(), make([]courierDelivery, len(found.Deliveries))} // never null
	for i, d := range found.Deliveries {
		body.Items[i] = courierDelivery{string(d.OrderID), string(d.State), d.From.UTC(), d.To.UTC(), d.Deadline.UTC()}
	}
	return respond(body, err)
}

type createdOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"for If-Match of a change"`
	Location string `header:"Location" doc:"path of the courier"`
	Body     courierBody
}

func (c couriersAPI) create(ctx context.Context, in *input[newCourierRequest]) (*createdOutput, error) {
	registered, created, err := c.couriers.Ensure(ctx, in.Body.courier())
	if err != nil {
		return nil, err
	}
	out := &createdOutput{http.StatusOK, etagOf(registered), fmt.Sprintf("%s/%d", couriersPath, registered.ID), newCourierBody(registered)}
	if created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

type courierChange struct {
	Name          *label             `json:"name,omitempty" maxLength:"200" example:"Anna"`
	Phone         *label             `json:"phone,omitempty" maxLength:"32" doc:"a phone number in any usual spelling; stored in E.164, unique" example:"+79000000001"`
	TransportType *courier.Transport `json:"transport_type,omitempty" enum:"on_foot,scooter,car"`
}

type changeInput struct {
	CourierInput
	MatchInput

	Body courierChange
}

func (c couriersAPI) change(ctx context.Context, in *changeInput) (*taggedOutput[courierBody], error) {
	fields := couriers.Fields{Name: (*string)(in.Body.Name), Phone: (*string)(in.Body.Phone), Transport: in.Body.TransportType}
	return respondCourier(c.couriers.Change(ctx, in.CourierID, fields, in.expect))
}

type pauseCourier struct {
	AfterDelivery bool `json:"after_delivery,omitempty" doc:"pause a busy courier when the open delivery ends"`
}

type pauseInput struct {
	CourierInput
	MatchInput

	Body *pauseCourier
}

func (c couriersAPI) pause(ctx context.Context, in *pauseInput) (*taggedOutput[courierBody], error) {
	after := in.Body != nil && in.Body.AfterDelivery
	return respondCourier(c.couriers.Pause(ctx, in.CourierID, after, in.expect))
}

// matchedCourier is a command that needs no body.
type matchedCourier struct {
	CourierInput
	MatchInput
}

func (c couriersAPI) resume(ctx context.Context, in *matchedCourier) (*taggedOutput[courierBody], error) {
	return respondCourier(c.couriers.Resume(ctx, in.CourierID, in.expect))
}

func (c couriersAPI) remove(ctx context.Context, in *matchedCourier) (*struct{}, error) {
	return &struct{}{}, c.couriers.Delete(ctx, in.CourierID, in.expect)
}

// MatchInput makes a change conditional on what the client has read; embed it.
type MatchInput struct {
	IfMatch string `header:"If-Match" maxLength:"1024" doc:"ETags of the resource, separated by commas, or *; 412 if none matches. Without it the change is unconditional"`
}

// expect is a couriers.Expect: the ETag of the courier matches If-Match. A weak ETag
// never does (RFC 9110, 13.1.1).
func (m MatchInput) expect(c courier.Courier) error {
	if m.IfMatch == "" || m.IfMatch == "*" {
		return nil
	}
	etag := etagOf(c)
	for tag := range strings.SplitSeq(m.IfMatch, ",") {
		if strings.TrimSpace(tag) == etag {
			return nil
		}
	}
	return courier.ErrChanged
}

// etagOf returns the strong ETag of a courier.
func etagOf(c courier.Courier) string {
	text, err := json.Marshal(newCourierBody(c))
	if err != nil {
		panic(fmt.Errorf("ETag: %w", err)) // a struct of strings and numbers: it cannot fail
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// registerCourseCouriers adds the routes of the course.
func (a *api) registerCourseCouriers(c couriersAPI) {
	create := courierOperation("register-courier", http.MethodPost, "/courier", "Register a courier",
		"An available courier gets the next waiting order at once. 409: the phone is already registered, or the status is busy. "+
			"After a 503 the courier may or may not be registered; if they are, repeating the request answers 409.",
		http.StatusConflict, http.StatusServiceUnavailable)
	create.DefaultStatus = http.StatusCreated
	register(a, operate, create, c.register)
	register(a, operate, courierOperation("update-courier", http.MethodPut, "/courier", "Change fields of a courier",
		"Omitted fields stay as they are. 409: the phone is already registered, busy is set, or a busy courier is made available or paused.",
		http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable), c.update)
	register(a, read, courierOperation("read-courier", http.MethodGet, "/courier/{id}", "Get a courier", "",
		http.StatusNotFound, http.StatusServiceUnavailable), c.read)
	register(a, read, courierOperation("list-all-couriers", http.MethodGet, "/couriers", "List all couriers by id", "",
		http.StatusServiceUnavailable), c.list)
	all := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[[]CourierSummaryBody](), true, "")
	all.Nullable = false
	a.OpenAPI().Paths["/couriers"].Get.Responses["200"].Content = map[string]*huma.MediaType{"application/json": {Schema: all}}
}

type courierID struct {
	ID int64 `json:"id" minimum:"1" example:"7"`
}

func (c couriersAPI) register(ctx context.Context, in *input[newCourierRequest]) (*output[courierID], error) {
	id, err := c.couriers.Register(ctx, in.Body.courier())
	return respond(courierID{id}, err)
}

type courierUpdate struct {
	ID            int64              `json:"id" minimum:"1" example:"7"`
	Name          *label             `json:"name,omitempty" maxLength:"200" example:"Anna"`
	Phone         *label             `json:"phone,omitempty" maxLength:"32" doc:"a phone number in any usual spelling; stored in E.164, unique" example:"+79000000001"`
	Status        *courier.Status    `json:"status,omitempty" enum:"available,busy,paused"`
	TransportType *courier.Transport `json:"transport_type,omitempty" enum:"on_foot,scooter,car"`
}

type updateInput struct {
	MatchInput

	Body courierUpdate
}

func (c couriersAPI) update(ctx context.Context, in *updateInput) (*taggedOutput[CourierSummaryBody], error) {
	b := in.Body
	fields := couriers.Fields{Name: (*string)(b.Name), Phone: (*string)(b.Phone), Status: b.Status, Transport: b.TransportType}
	return respondSummary(c.couriers.Change(ctx, b.ID, fields, in.expect))
}

func respondSummary(c courier.Courier, err error) (*taggedOutput[CourierSummaryBody], error) {
	return respondTagged(c, newCourierSummaryBody(c), err)
}

type readInput struct {
	ID int64 `path:"id" minimum:"1" example:"7"`
}

func (c couriersAPI) read(ctx context.Context, in *readInput) (*taggedOutput[CourierSummaryBody], error) {
	return respondSummary(c.couriers.Get(ctx, in.ID))
}

// listPage is how many couriers are read at a time for the list of all.
const listPage = 250

type couriersOutput struct{ Body func(huma.Context) }

// list sends the couriers page by page: for a client that reads slowly it holds one page
// in memory, and no connection of the database.
func (c couriersAPI) list(ctx context.Context, _ *struct{}) (*couriersOutput, error) {
	first, err := c.listPage(ctx, math.MinInt64)
	if err != nil {
		return nil, err
	}
	return &couriersOutput{func(h huma.Context) {
		h.SetHeader("Content-Type", "application/json")
		h.SetStatus(http.StatusOK)
		if h.Method() != http.MethodHead {
			c.send(ctx, h.BodyWriter(), first)
		}
	}}, nil
}

func (c couriersAPI) listPage(ctx context.Context, after int64) ([]courier.Courier, error) {
	return c.couriers.Page(ctx, couriers.Filter{}, after, listPage)
}

// send writes the list, of which page is the first. When it cannot continue, it breaks the
// connection, so that the client does not take a part for the whole list.
func (c couriersAPI) send(ctx context.Context, w io.Writer, page []courier.Courier) {
	text := bytes.NewBufferString("[")
	for separator := ""; ; separator = "," {
		appendCouriers(text, separator, page)
		last := len(page) < listPage
		if last {
			text.WriteString("]\n")
		}
		_, err := text.WriteTo(w)
		if err == nil && last {
			return
		}
		if err == nil {
			page, err = c.nextPage(ctx, page[len(page)-1].ID)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// nextPage has its own deadline: the request's may have passed while the client read.
func (c couriersAPI) nextPage(ctx context.Context, after int64) ([]courier.Courier, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	page, err := c.listPage(ctx, after)
	if err != nil {
		return nil, c.refuse(ctx, "list-all-couriers", err)
	}
	return page, nil
}

// appendCouriers appends a page as a part of a JSON array, after a separator.
func appendCouriers(text *bytes.Buffer, separator string, page []courier.Courier) {
	enc := json.NewEncoder(text)
	enc.SetEscapeHTML(false)
	for _, c := range page {
		text.WriteString(separator)
		separator = ","
		if err := enc.Encode(newCourierSummaryBody(c)); err != nil {
			panic(fmt.Errorf("encode a courier: %w", err)) // strings and numbers: it cannot fail
		}
		text.Truncate(text.Len() - 1) // the line break
	}
}
