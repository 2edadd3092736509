package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const (
	boards       = 100  // open at a time
	boardOrders  = 1000 // active orders of the first paint
	boardPaints  = 5
	boardTurns   = 3
	boardChanges = 50 // per second
	// envViewers makes this program the viewers of a service.
	envViewers = "SERVICE_COURIER_BENCH_VIEWERS"
)

// boardPace has two changes per order: it waits, and is assigned.
func boardPace(seconds int) steadyLoad { return steadyLoad{boardChanges / 2, seconds} }

// viewersReport is what the board costs a browser, and open boards the service.
type viewersReport struct {
	options
	Page    boardPage    `json:"page"`
	Turns   []viewerTurn `json:"turns"`
	Without viewerTurn   `json:"without"`
	With    viewerTurn   `json:"with"`
	CPU     float64      `json:"service_cpu_percent_per_board"` // of a core
}

type boardPage struct {
	FirstPaint float64 `json:"first_paint_ms"`    // of anything; median, without a cache
	Cards      float64 `json:"cards_ms"`          // until a card is in the page
	Script     int     `json:"script_gzip_bytes"` // that the board loads
	All        int     `json:"all_scripts_gzip_bytes"`
}

// viewerTurn is one steady load, or all of a kind.
type viewerTurn struct {
	Boards int `json:"boards"`
	latency
	CPU    map[string]float64 `json:"cpu_us_per_order"`
	Viewed viewed             `json:"viewed"`
}

// viewed is what the boards received.
type viewed struct {
	Changes  int64 `json:"changes"`
	Requests int64 `json:"requests"`
	Refused  int64 `json:"refused"`
}

// measureViewers measures the board in a browser, and then the path of an event with and
// without open boards, in turns.
func measureViewers(ctx context.Context, o options, bar *progress) (printer, error) {
	report := &viewersReport{options: o}
	pace, warmUp := boardPace(o.Seconds), boardPace(min(warmUp.seconds, 6*o.Seconds))
	total := boardOrders + warmUp.orders() + 2*boardTurns*pace.orders()
	err := withStack(ctx, capacity{orders: total, couriers: total, partitions: o.Partitions}, bar, func(s *stack) error {
		var ids allocator
		first := ids.next(boardOrders)
		l := s.createdLoad(fmt.Sprintf("%d orders", boardOrders), first)
		l.drive = func(ctx context.Context) (err error) {
			if err := s.awaitAssigned(ctx, first); err != nil {
				return err
			}
			report.Page, err = measurePage(ctx, "http://"+s.addr)
			return err
		}
		if _, err := l.run(ctx, s, bar); err != nil {
			return err
		}
		bar.step("warming up")
		if _, _, err := s.measureSteady(ctx, warmUp, ids.next(warmUp.orders()), bar); err != nil {
			return err
		}
		return report.steady(ctx, s, pace, &ids, bar)
	})
	return report, err
}

func (v *viewersReport) steady(ctx context.Context, s *stack, pace steadyLoad, ids *allocator, bar *progress) error {
	all := []histogram{newHistogram(), newHistogram()}
	for range boardTurns {
		for i, kind := range []*viewerTurn{&v.Without, &v.With} {
			s.viewers, s.viewed = i*boards, viewed{}
			h, r, err := s.measureSteady(ctx, pace, ids.next(pace.orders()), bar)
			if err != nil {
				return err
			}
			all[i].Merge(h.Histogram)
			turn := viewerTurn{s.viewers, h.latency(pace.rate), r.CPU, s.viewed}
			v.Turns = append(v.Turns, turn)
			kind.Boards, kind.latency = s.viewers, all[i].latency(pace.rate)
			if kind.CPU == nil {
				kind.CPU = make(map[string]float64)
			}
			for program, us := range turn.CPU {
				kind.CPU[program] += us / boardTurns
			}
			kind.Viewed.Changes += turn.Viewed.Changes
			kind.Viewed.Requests += turn.Viewed.Requests
			kind.Viewed.Refused += turn.Viewed.Refused
		}
	}
	const service = "service-courier"
	v.CPU = 100 * (v.With.CPU[service] - v.Without.CPU[service]) * float64(pace.rate) / 1e6 / boards
	return nil
}

// measurePage opens the board in a new browser several times.
func measurePage(ctx context.Context, url string) (p boardPage, err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox)
	var paints, cards []float64
	for range boardPaints {
		var one struct{ Paint, Cards, Script, All float64 }
		err := func() error {
			allocator, stop := chromedp.NewExecAllocator(ctx, options...)
			defer stop()
			limited, end := context.WithTimeout(allocator, time.Minute)
			defer end()
			tab, cancel := chromedp.NewContext(limited)
			defer cancel()
			if err := chromedp.Do(tab); err != nil {
				return fmt.Errorf("start Chromium: %w", err)
			}
			if _, err := chromedp.Call(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: markCards}); err != nil {
				return err
			}
			if err := chromedp.Do(tab, chromedp.Navigate(url+"/ui/"), chromedp.WaitVisible(chromedp.CSS(".card"))); err != nil {
				return err
			}
			text, err := chromedp.Run(tab, chromedp.Evaluate[string](pageFigures, chromedp.EvalAwaitPromise))
			if err != nil {
				return err
			}
			return json.Unmarshal([]byte(text), &one)
		}()
		if err != nil {
			return p, fmt.Errorf("the board in a browser: %w", err)
		}
		paints, cards = append(paints, one.Paint), append(cards, one.Cards)
		p.Script, p.All = int(one.Script), int(one.All)
	}
	slices.Sort(paints)
	slices.Sort(cards)
	p.FirstPaint, p.Cards = paints[boardPaints/2], cards[boardPaints/2]
	return p, nil
}

const (
	markCards = `{
		const find = () => document.querySelector('.card') ? performance.mark('cards') : requestAnimationFrame(find)
		requestAnimationFrame(find)
	}`
	// pageFigures also loads the scripts of every other page; the library of the charts is
	// not among them.
	pageFigures = `(async () => {
		const size = () => [...new Map(performance.getEntriesByType('resource').filter(r => /\.js$/.test(r.name) && !/uPlot/.test(r.name)).map(r => [r.name, r.encodedBodySize])).values()]
			.reduce((sum, n) => sum + n, 0)
		const script = size()
		const app = await (await fetch('/ui/assets/app.js')).text()
		await Promise.all([...app.matchAll(/import\('\.\/(pages\/\w+\.js)'\)/g)].map(m => import('/ui/assets/' + m[1])))
		return JSON.stringify({
			paint: performance.getEntriesByName('first-contentful-paint')[0].startTime, cards: performance.getEntriesByName('cards')[0].startTime,
			script, all: size(),
		})
	})()`
)

// viewersTask is what the process of the viewers does until its input ends.
type viewersTask struct {
	URL    string
	Boards int
}

// startViewers starts the boards in a process of their own, so that their CPU is apart. stop
// ends them and sets what they received.
func (s *stack) startViewers(ctx context.Context) (stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	task, err := json.Marshal(viewersTask{"http://" + s.addr, s.viewers})
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	cmd := exec.CommandContext(ctx, self)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), envViewers+"="+string(task)), &out, os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		if err := errors.Join(input.Close(), cmd.Wait()); err != nil {
			return fmt.Errorf("viewers: %w", err)
		}
		return json.Unmarshal([]byte(out.String()), &s.viewed)
	}, nil
}

// runViewers is the process of startViewers.
func runViewers(ctx context.Context, raw string) error {
	var t viewersTask
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var total viewer
	var all sync.WaitGroup
	for i := range t.Boards {
		// Each has its own address, as the limits of requests are by address.
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
		client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
		all.Go(func() { total.follow(ctx, client, t.URL) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(viewed{total.changes.Load(), total.requests.Load(), total.refused.Load()})
}

// viewer sends the requests of a board (live.js): the stream, and every 10 s the couriers and
// the missing orders.
type viewer struct{ changes, requests, refused atomic.Int64 }

func (v *viewer) follow(ctx context.Context, client *http.Client, url string) {
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() {
		const every = 10 * time.Second
		for next := time.After(rand.N(every)); ; next = time.After(every) {
			select {
			case <-ctx.Done():
				return
			case <-next:
			}
			v.list(ctx, client, url+"/api/v1/couriers?", 20)
			v.list(ctx, client, url+"/api/v1/orders?state=missing", 5)
		}
	})
	v.get(ctx, client, url+"/api/v1/stream", func(body io.Reader) {
		lines := bufio.NewReader(body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if line == "event: change\n" {
				v.changes.Add(1)
			}
		}
	})
}

// list reads at most so many pages of a list.
func (v *viewer) list(ctx context.Context, client *http.Client, url string, pages int) {
	cursor := ""
	for range pages {
		var list struct {
			Next string `json:"next_cursor"`
		}
		v.get(ctx, client, url+"&limit=100&cursor="+cursor, func(body io.Reader) { _ = json.NewDecoder(body).Decode(&list) })
		if cursor = list.Next; cursor == "" {
			return
		}
	}
}

func (v *viewer) get(ctx context.Context, client *http.Client, url string, read func(io.Reader)) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		panic(err) // a mistake in this file
	}
	v.requests.Add(1)
	response, err := client.Do(r)
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil || response.StatusCode != http.StatusOK:
		v.refused.Add(1)
	default:
		read(response.Body)
	}
	if err == nil {
		_ = response.Body.Close()
	}
}

func (v *viewersReport) print() string {
	var text strings.Builder
	fmt.Fprintf(&text, "the board with %d active orders, in a new browser: first paint %.0f ms, cards %.0f ms; scripts %.1f KB (gzip), of all pages %.1f KB without charts\n\n",
		boardOrders, v.Page.FirstPaint, v.Page.Cards, float64(v.Page.Script)/1000, float64(v.Page.All)/1000)
	fmt.Fprintf(&text, "%-22s %8s %8s %8s   ms   CPU µs per order\n", fmt.Sprintf("%d changes per second", boardChanges), "p50", "p99", "max")
	line := func(suffix string, t viewerTurn) {
		fmt.Fprintf(&text, "%-22s %8.2f %8.2f %8.2f        %s\n", fmt.Sprintf("%d boards", t.Boards)+suffix, t.P50, t.P99, t.Max, cpuText(t.CPU))
	}
	for _, t := range v.Turns {
		line("", t)
	}
	line(", all turns", v.Without)
	line(", all turns", v.With)
	w := v.With.Viewed
	fmt.Fprintf(&text, "\nthe service's CPU per board, with minus without: %.3f %% of a core; the boards received %d changes by %d requests, %d refused\n", v.CPU, w.Changes, w.Requests, w.Refused)
	return text.String() + viewersLegend
}

const viewersLegend = `
latency    from the moment each event was due until the COMMIT that assigned its order, as in the table. The turns
           alternate, since the speed of the machine drifts
boards     clients that send the requests of an open board, from addresses of their own, in a process whose CPU is
           reported apart (viewers)
`
