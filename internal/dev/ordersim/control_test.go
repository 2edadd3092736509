package ordersim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// rawRecorder records delivered values too, as events if they are.
type rawRecorder struct {
	recorder
	values []string
}

func (r *rawRecorder) deliver(_ context.Context, values [][]byte) (int, error) {
	for _, value := range values {
		var e Event
		if json.Unmarshal(value, &e) == nil {
			_ = r.Publish(e)
			continue
		}
		r.values = append(r.values, string(value))
	}
	return len(values), r.err
}

// control sends a request of this machine and returns the status and body.
func control(s *Sim, method, path, body string) (int, string) {
	return controlFrom(s, "127.0.0.1:1234", method, path, body)
}

func controlFrom(s *Sim, client, method, path, body string) (int, string) {
	r := httptest.NewRequestWithContext(context.Background(), method, "http://localhost"+path, strings.NewReader(body))
	r.RemoteAddr = client
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Body)
	return w.Code, string(text)
}

func TestControl(t *testing.T) {
	events := &rawRecorder{}
	s := startSim(t, Config{Publisher: events, Steps: FrozenSteps(), Seed: 1})
	ok := func(method, path, body string) {
		t.Helper()
		if code, text := control(s, method, ControlPath+path, body); code >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, code, text)
		}
	}
	ok(http.MethodPost, "/orders?count=3", "")
	if n := len(s.Truth()); n != 3 {
		t.Fatalf("%d orders, want 3", n)
	}
	id := s.store.ids[0]
	ok(http.MethodPost, "/orders/"+id+"/status?status=strange", "")
	ok(http.MethodDelete, "/orders/"+id, "")
	ok(http.MethodPost, "/events?order_id="+id+"&status=forged", "")
	ok(http.MethodPost, "/events", `{"order_id":`)
	if got, want := events.statuses(id), []string{"created", "strange", "deleted", "forged"}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	if !slices.Equal(events.values, []string{`{"order_id":`}) {
		t.Errorf("raw events %q", events.values)
	}
	ok(http.MethodPost, "/forget", "")
	if n := len(s.Truth()); n != 0 {
		t.Errorf("%d orders after forget", n)
	}
}

func TestControlledFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &rawRecorder{}
		s := startSim(t, Config{Publisher: events, Steps: FrozenSteps(), Seed: 1})
		defer func() { _ = s.Stop(t.Context()) }()
		list := func() int { code, _ := control(s, http.MethodGet, base+"/orders", ""); return code }
		if code, text := control(s, http.MethodPost, ControlPath+"/faults?fail=10s&delay=2s&lose=1", ""); code != http.StatusOK || !strings.Contains(text, `"fail":"10s"`) {
			t.Fatalf("%d %s", code, text)
		}
		began := time.Now()
		if code := list(); code != http.StatusInternalServerError || time.Since(began) != 2*time.Second {
			t.Errorf("%d after %v, want 500 after 2s", code, time.Since(began))
		}
		create(t, s)
		if n := len(events.all()); n != 0 {
			t.Errorf("%d events published, want all lost", n)
		}
		time.Sleep(10 * time.Second)
		if code := list(); code != http.StatusOK {
			t.Errorf("%d after ten seconds, want 200", code)
		}
		control(s, http.MethodPost, ControlPath+"/faults?duplicate=1", "")
		began = time.Now()
		create(t, s)
		if code := list(); code != http.StatusOK || time.Since(began) != 0 || len(events.all()) != 2 {
			t.Errorf("%d after %v with %d events, want 200 at once and 2", code, time.Since(began), len(events.all()))
		}
	})
}

// TestControlList: the last created order first, with its timers.
func TestControlList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSim(t, Config{Steps: Steps{Created: time.Second, Pending: Never, Confirmed: Never, Cooking: Never, Delivering: Never}})
		defer func() { _ = s.Stop(t.Context()) }()
		for range 2 {
			create(t, s)
		}
		pass(2 * time.Second)
		last := create(t, s)
		code, text := control(s, http.MethodGet, ControlPath+"/orders?limit=2", "")
		var list orderList
		if err := json.Unmarshal([]byte(text), &list); code != http.StatusOK || err != nil {
			t.Fatalf("%d %s: %v", code, text, err)
		}
		if list.Total != 3 || len(list.Orders) != 2 || len(list.Steps) != 1 || list.Steps["created"] != "1s" {
			t.Fatalf("%s", text)
		}
		if o := list.Orders[0]; o.ID != last || o.NextStatus != "pending" || !o.NextAt.Equal(time.Now().Add(time.Second)) {
			t.Errorf("the last order is %+v", o)
		}
		if o := list.Orders[1]; o.Status != "pending" || o.NextStatus != "" || !o.NextAt.IsZero() {
			t.Errorf("an order without a timer is %+v", o)
		}
	})
}

// TestControlReplay: the last events again, each as often as requested.
func TestControlReplay(t *testing.T) {
	events := &rawRecorder{}
	s := startSim(t, Config{Publisher: events, Steps: FrozenSteps()})
	id := create(t, s)
	if err := s.Delete(id); err != nil {
		t.Fatal(err)
	}
	if code, text := control(s, http.MethodPost, ControlPath+"/replay", ""); code != http.StatusOK || text != `{"records":6}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
	got := events.statuses(id)
	slices.Sort(got)
	if want := slices.Concat(slices.Repeat([]string{"created"}, 4), slices.Repeat([]string{"deleted"}, 4)); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	for range maxReplayed {
		s.Emit(id, "updated")
	}
	if n, err := s.Replay(t.Context(), 1); n != maxReplayed || err != nil {
		t.Errorf("%d replayed, %v; want the last %d", n, err, maxReplayed)
	}
}

func TestControlRefuses(t *testing.T) {
	s := startSim(t, Config{Steps: FrozenSteps()})
	for path, want := range map[string]int{
		"/orders?count=0": 400, "/orders?count=x": 400, "/orders?count=10001": 400,
		"/faults?fail=soon": 400, "/faults?fail=-1s": 400, "/faults?lose=2": 400, "/faults?lose=NaN": 400, "/faults?sleep=1s": 400,
		"/orders/none/status": 400, "/orders/none/status?status=x": 404, "/unknown": 404,
		"/replay?copies=0": 400, "/replay?copies=11": 400,
		"/events": 400, "/events?order_id=a&status=b": 400, "/replay": 400, // nothing to publish to
	} {
		if code, text := control(s, http.MethodPost, ControlPath+path, "{"); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, text, want)
		}
	}
	for client, want := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200, "10.0.0.1:1": 403, "[fe80::1]:1": 403, "": 403} {
		if code, _ := controlFrom(s, client, http.MethodPost, ControlPath+"/forget", ""); code != want {
			t.Errorf("client %q: %d, want %d", client, code, want)
		}
	}
}
