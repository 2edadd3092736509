package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/cli/client"
)

// serve returns a client of a server that answers with handle.
func serve(t *testing.T, handle http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "the-token")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestItemsFollowTheCursor(t *testing.T) {
	t.Parallel()
	var requested []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requested = append(requested, r.URL.RequestURI())
		if r.Header.Get("Authorization") != "Bearer the-token" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		if r.URL.Query().Get("cursor") == "" {
			fmt.Fprint(w, `{"items":[1,2],"next_cursor":"a&b"}`)
			return
		}
		fmt.Fprint(w, `{"items":[3]}`)
	})
	var got []string
	for item, err := range c.Items(t.Context(), "/things", url.Values{"state": {"held"}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(item))
	}
	if diff := cmp.Diff([]string{"1", "2", "3"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/things?state=held", "/things?cursor=a%26b&state=held"}, requested); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const problem, noProblem = "application/problem+json", "409 Conflict: not a problem document; is this a service-courier?"
	for _, tt := range []struct{ media, body, code, want string }{
		{problem, `{"status":409,"code":"no_courier_available","detail":"no courier is available"}`, "no_courier_available", "409 Conflict: no courier is available"},
		{problem, `{"code":"a","detail":"none","remedy":"Try\u001b later."}`, "a", "409 Conflict: none\n  Try\uFFFD later."},
		{problem, `{"code":"a","detail":"none","remedy":"POST it.","cli_remedy":"Run it."}`, "a", "409 Conflict: none\n  Run it."},
		{
			problem + "; charset=utf-8", `{"code":"bad","detail":"validation failed","errors":[{"location":"body.name","message":"expected length"},
				{"location":"body.transport_type","message":"a"},{"location":"path.order_id","message":"b"},{"location":"query.limit","message":"c"},{"location":"body","message":"d"}]}`,
			"bad", "409 Conflict: validation failed\n  --name expected length\n  --transport a\n  ORDER b\n  --limit c\n  body d",
		},
		// Not from a service-courier.
		{problem, `{"status":409,"detail":"no courier is available"}`, "", noProblem},
		{problem, `<html>`, "", noProblem},
		{"application/json", `{"code":"no_courier_available","detail":"no courier is available"}`, "", noProblem},
		{"text/html", `<html>`, "", noProblem},
		{"/", `{"code":"no_courier_available"}`, "", noProblem},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tt.media)
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, tt.body)
		})
		_, err := c.Get(t.Context(), "/x", nil)
		var refused *client.APIError
		if !errors.As(err, &refused) || refused.Status != http.StatusConflict || refused.Code != tt.code || refused.Error() != tt.want {
			t.Errorf("%s %s: %v, want %s", tt.media, tt.body, err, tt.want)
		}
	}
}

// TestUnavailable: the seconds of Retry-After are printed, and a read has changed nothing.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"code":"a","detail":"none","remedy":"Retry-After","cli_remedy":"Check it."}`)
	})
	for method, want := range map[string]string{
		http.MethodGet:  "503 Service Unavailable: none\n  Try again in 2s.",
		http.MethodPost: "503 Service Unavailable: none\n  Check it. Try again in 2s.",
	} {
		if _, err := c.Call(t.Context(), method, "/x", nil, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
}

// A redirect would send the token to another host.
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x" {
			t.Errorf("requested for %s", r.URL)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	if answer, err := c.Get(t.Context(), "/x", nil); err == nil {
		t.Errorf("answered %s", answer)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), "/x", nil)
	var unreachable *client.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "COURIER_URL") {
		t.Error(err)
	}
}

func TestBadAddresses(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"", "localhost:8082", "ftp://x", "http://name:secret@host", "http://host?token=secret", "http://host/#secret", "http://"} {
		if _, err := client.New(server, ""); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", server, err)
		}
	}
}

// A token that no header can carry was reported as an unreachable server.
func TestTokens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	for _, token := range []string{"sesame", "sesame\n", "sesame\r\n"} {
		c, err := client.New(server.URL, token)
		if err != nil {
			t.Fatalf("%q: %v", token, err)
		}
		if answer, err := c.Get(t.Context(), "/x", nil); err != nil || string(answer) != `"Bearer sesame"` {
			t.Errorf("%q: sent as %s, %v", token, answer, err)
		}
	}
	for _, token := range []string{"ses\name", "sesame\n\n", "\nsesame", "ses\x00ame", "ses\x7fame", "ses\tame"} {
		if _, err := client.New(server.URL, token); err == nil || !strings.Contains(err.Error(), "COURIER_TOKEN") || strings.Contains(err.Error(), "ame") {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// A broken stream continues after the last event, and no event is repeated.
func TestTailContinuesAfterLastEvent(t *testing.T) {
	t.Parallel()
	var lastIDs []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		lastIDs = append(lastIDs, r.Header.Get("Last-Event-ID"))
		if len(lastIDs) == 1 {
			fmt.Fprint(w, ": heartbeat\n\nretry: 1\n\nid: 1\nevent: snapshot\ndata: {\"a\":\ndata: 1}\n\nid: 2\ndata: {}\n\nid: 3\ndata: cut o")
			return
		}
		fmt.Fprint(w, "id: 3\nevent: change\ndata: {}\n\n")
	})
	var got []string
	enough := errors.New("enough")
	breaks := 0
	err := c.Tail(t.Context(), "/stream", func(e client.Event) error {
		got = append(got, e.ID+" "+e.Name+" "+string(e.Data))
		if e.ID == "3" {
			return enough
		}
		return nil
	}, func(error) { breaks++ })
	if !errors.Is(err, enough) || breaks != 1 {
		t.Errorf("%v after %d breaks", err, breaks)
	}
	if diff := cmp.Diff([]string{"1 snapshot {\"a\":\n1}", "2  {}", "3 change {}"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"", "2"}, lastIDs); diff != "" {
		t.Error(diff)
	}
}

// Without changes only "live", which has no data, has the position; heartbeats keep
// it, and a snapshot resets it until the next "live". If only events with data
// kept the id, the first break would start over and lose the changes meanwhile; if
// each blank line did, a heartbeat would lose it (both tried).
func TestTailKeepsPositionWithoutChanges(t *testing.T) {
	t.Parallel()
	const snapshot, live = "event: snapshot\ndata: {}\n\n", "id: 5\nevent: live\ndata: \n\n"
	connections := []string{"retry: 1\n\n" + snapshot + live, ":\n\n", snapshot, snapshot + live + "id: 6\nevent: change\ndata: {}\n\n"}
	var lastIDs, got []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, connections[len(lastIDs)])
		lastIDs = append(lastIDs, r.Header.Get("Last-Event-ID"))
	})
	enough := errors.New("enough")
	err := c.Tail(t.Context(), "/stream", func(e client.Event) error {
		got = append(got, e.Name+e.ID)
		if e.Name == "change" {
			return enough
		}
		return nil
	}, func(error) {})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"", "5", "5", ""}, lastIDs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"snapshot", "snapshot", "snapshot", "change6"}, got); diff != "" {
		t.Error(diff)
	}
}

// A refusal is not retried, and the end of ctx is no error.
func TestTailEnds(t *testing.T) {
	t.Parallel()
	refusing := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	nothing := func(client.Event) error { return nil }
	again := func(err error) { t.Errorf("tried again after %v", err) }
	var refused *client.APIError
	if err := refusing.Tail(t.Context(), "/stream", nothing, again); !errors.As(err, &refused) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	silent := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	if err := silent.Tail(ctx, "/stream", nothing, again); err != nil {
		t.Error(err)
	}
}

func TestBodyAndAnswer(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body["name"] != "Lev" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v %v %v", body, err, r.Header)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	answer, err := c.Call(t.Context(), http.MethodPost, "/x", nil, map[string]string{"name": "Lev"})
	if err != nil || answer.Body != nil || answer.Status != http.StatusNoContent {
		t.Errorf("%v, %v", answer, err)
	}
}

// TestRefusalControlsNoTerminal: a server's text stays on its line and escapes nothing.
func TestRefusalControlsNoTerminal(t *testing.T) {
	t.Parallel()
	e := client.APIError{Status: 500, Detail: "a\x1b]0;x\a\u202e\nservice-courier: done", RequestID: "\x1b[2J"}
	if text := e.Error(); strings.ContainsAny(text, "\x1b\a\u202e\n") || !strings.Contains(text, "\uFFFD]0;x") {
		t.Errorf("%q", text)
	}
}
