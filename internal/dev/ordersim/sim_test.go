package ordersim

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestValidateNamesEveryBadValue(t *testing.T) {
	err := Config{
		Addr: "nowhere", Brokers: []string{"kafka"}, Publisher: &recorder{}, Jitter: 1, Every: -1,
		BurstEvery: 1, BurstMin: 3, BurstMax: 2, CancelShare: 1.5, LostShare: -1, DuplicateShare: 2,
		PublishDelay: -1, Steps: Steps{Cooking: -1},
	}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Addr", "Brokers is \"kafka\"", "with a Publisher", "Jitter", "Every", "BurstMax", "CancelShare", "LostShare", "DuplicateShare", "PublishDelay", "Steps.Cooking"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in:\n%v", want, err)
		}
	}
	for name, cfg := range map[string]Config{"zero": {}, "default": DefaultConfig(), "demo": DemoConfig()} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartAndStopAreIdempotent(t *testing.T) {
	s := startSim(t, Config{Addr: "127.0.0.1:0"})
	addr := s.Addr()
	if err := s.Start(t.Context()); err != nil || s.Addr() != addr {
		t.Errorf("second start: %v, %s then %s", err, addr, s.Addr())
	}
	var client http.Client
	defer client.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+base+"/orders", nil)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "[]\n" {
		t.Errorf("got %q", body)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := s.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.Start(t.Context()); err == nil {
		t.Error("Start succeeded after Stop")
	}
}

func TestStartOnTakenAddress(t *testing.T) {
	first := startSim(t, Config{Addr: "127.0.0.1:0"})
	second := newSim(t, Config{Addr: first.Addr()})
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("err = %v", err)
	}
}

// TestConcurrentUse: readers, writers and the list, for the race detector.
func TestConcurrentUse(t *testing.T) {
	s := startSim(t, Config{Every: 1, Steps: Steps{Created: 1, Pending: 1}, Seed: 1})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				id := create(t, s)
				call(s, "GET", "/order/"+id, "", "")
				call(s, "PUT", "/order/"+id, "bypass", `{"fio":"x"}`)
				call(s, "DELETE", "/order/"+id, "bypass", "")
			}
			call(s, "GET", "/orders", "", "")
			s.Truth()
		})
	}
	all.Wait()
}
