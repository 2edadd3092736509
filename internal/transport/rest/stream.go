package rest

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/usecase/livefeed"
)

// heartbeatEvery tells a silent client, and what is between, that the stream lives.
const heartbeatEvery = 15 * time.Second

// Stream is the feed of what happens. Its error matches courier.ErrUnavailable.
type Stream interface {
	Subscribe(ctx context.Context, lastID string) (*livefeed.Subscription, error)
}

type streamAPI struct {
	*api
	stream   Stream
	callers  Callers         // nil: nobody is asked
	stopping <-chan struct{} // closed when the server stops, which waits for its handlers
}

func (a *api) registerStream(stream Stream, callers Callers, stopping <-chan struct{}) {
	s := streamAPI{a, stream, callers, stopping}
	a.handle(versioned+"/stream", route{role: read, endless: true}, s)
	a.documentStream(versioned + "/stream")
}

// ServeHTTP tells what happens until the client leaves or may not listen any more,
// or the server stops.
func (s streamAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	r = r.WithContext(ctx)
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	feed, err := s.stream.Subscribe(ctx, r.Header.Get("Last-Event-ID"))
	if err != nil {
		writeProblem(w, r, s.refuse(ctx, "stream", err))
		return
	}
	defer feed.Close()
	out := newEventWriter(w)
	err = out.open()
	for err == nil {
		err = s.tell(r, feed, out)
	}
}

// errNotAllowed ends a stream whose token was taken away; the client learns why when
// it comes back.
var errNotAllowed = errors.New("the caller may not listen any more")

// allowed asks again what was asked when the stream began.
func (s streamAPI) allowed(r *http.Request) bool {
	if s.callers == nil {
		return true
	}
	_, refusal := authenticate(r, s.callers, read)
	return refusal == nil
}

// tell waits for the next that is to be told, at most until a heartbeat is due.
// Any error ends the stream: the client has gone, is stuck or lost its token, or the
// server stops.
func (s streamAPI) tell(r *http.Request, feed *livefeed.Subscription, out *eventWriter) error {
	limited, cancel := context.WithTimeout(r.Context(), heartbeatEvery)
	defer cancel()
	messages, err := feed.Next(limited)
	silence := errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil
	switch {
	case err != nil && !silence:
		return err
	case !s.allowed(r):
		return errNotAllowed
	case silence:
		return out.heartbeat()
	}
	return out.events(messages)
}

const streamDescription = "Server-sent events. `snapshot` tells how things stand; `change` is one order that reached a state, in the order in which they were committed; " +
	"`live` (no data) ends the part of a snapshot: from there on every change has an `id`. Come back with the last one in `Last-Event-ID`, and what follows is told, " +
	"none missed and none twice. Without one, with one that is unknown or too old, and to a client that fell too far behind, a `snapshot` is told (again): it replaces " +
	"all that was told before. Lists in a snapshot are bounded, counts are not. A comment line every 15 s shows that the stream lives. " +
	"A client that takes nothing for 5 s, or needs more than 30 s for what there is to tell at a time, is cut off: it comes back as after any break. " +
	"One whose token is taken away is told nothing more; the stream ends with what would have been next, the comment line at the latest."

func (a *api) documentStream(path string) {
	schemas := a.OpenAPI().Components.Schemas
	schemas.Schema(reflect.TypeFor[snapshotBody](), true, "")
	schemas.Schema(reflect.TypeFor[changeBody](), true, "")
	op := &huma.Operation{
		OperationID: "stream", Method: http.MethodGet, Path: path, Tags: []string{"stream"},
		Summary: "What happens, while it happens", Description: streamDescription, Security: security(read),
		Parameters: []*huma.Param{{
			Name: "Last-Event-ID", In: "header", Description: "the id of the last event that was told; opaque", Schema: &huma.Schema{Type: huma.TypeString},
		}},
		Responses: a.unregistered("text/event-stream",
			"Events until the client leaves; `data` of a snapshot is a SnapshotBody, of a change a ChangeBody", http.StatusServiceUnavailable),
	}
	a.OpenAPI().AddOperation(op)
}
