// Command screenshots writes a picture of each page of a running service, light and dark.
// `make screenshots` runs it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8082", "address of a running `service-courier dev`")
	out := flag.String("out", "docs/images", "directory of the pictures")
	pages := flag.String("pages", "", "paths under /ui/, separated by commas; default: all")
	width := flag.Int64("width", 1440, "width in pixels")
	height := flag.Int64("height", 900, "height in pixels")
	themes := flag.String("themes", "light,dark", "themes, separated by commas")
	language := flag.String("language", "en", "language of the pages")
	wait := flag.Duration("wait", 2*time.Second, "time for a page to load its data")
	flag.Parse()
	all := []string{"", orderPage, "couriers", "statistics", "events", "dead-letters", "health", "playground"}
	if *pages != "" {
		all = strings.Split(*pages, ",")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("lang", *language), chromedp.Flag("accept-lang", *language))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	limited, end := context.WithTimeout(allocator, 3*time.Minute)
	defer end()
	ctx, cancel := chromedp.NewContext(limited)
	defer cancel()
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			fmt.Fprintln(os.Stderr, m, m.URL)
		}
	}()
	for theme := range strings.SplitSeq(*themes, ",") {
		for _, page := range all {
			if err := shoot(ctx, *url, *out, page, theme, *width, *height, *wait); err != nil {
				fmt.Fprintln(os.Stderr, page, err)
				os.Exit(1) //nolint:gocritic // the process ends
			}
		}
	}
}

// orderPage is the page of the completed order with the most transitions.
const orderPage = "order"

func longestTimeline(ctx context.Context, url string) (id string, err error) {
	var list struct {
		Items []struct {
			OrderID string `json:"order_id"`
		}
	}
	if err := get(ctx, url+"/api/v1/orders?state=completed&limit=100", &list); err != nil {
		return "", err
	}
	most := -1
	for _, o := range list.Items {
		var order struct{ Timeline []any }
		if err := get(ctx, url+"/api/v1/orders/"+o.OrderID, &order); err != nil {
			return "", err
		}
		if len(order.Timeline) > most {
			id, most = o.OrderID, len(order.Timeline)
		}
	}
	if id == "" {
		return "", errors.New("no order is completed yet: try again in a minute")
	}
	return id, nil
}

// get decodes a response of the API.
func get(ctx context.Context, url string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func shoot(ctx context.Context, url, out, page, theme string, width, height int64, wait time.Duration) error {
	name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-").Replace(page), "-")
	if name == "" {
		name = "board"
	}
	path := strings.TrimPrefix(page, "/")
	if page == orderPage {
		id, err := longestTimeline(ctx, url)
		if err != nil {
			return err
		}
		path = "orders/" + id
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	}); err != nil {
		return err
	}
	if err := chromedp.Do(ctx,
		chromedp.EmulateViewport(width, height),
		chromedp.Navigate(url+"/ui/"+path),
		chromedp.WaitVisible(chromedp.CSS("main")),
		chromedp.Sleep(wait), // for the data
	); err != nil {
		return err
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	smaller, err := compress(picture)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, fmt.Sprintf("%s-%s.png", name, theme)), smaller, 0o644)
}

// compress encodes a picture with 256 colours, in a third of the bytes: the most frequent,
// then others that differ visibly from them, so that the colour of a small mark stays.
func compress(picture []byte) ([]byte, error) {
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds, count := decoded.Bounds(), map[color.Color]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			count[decoded.At(x, y)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] }) {
		if len(palette) < 128 || len(palette) < 256 && differ(c, palette.Convert(c)) {
			palette = append(palette, c)
		}
	}
	paletted := image.NewPaletted(bounds, palette)
	draw.Draw(paletted, bounds, decoded, image.Point{}, draw.Src)
	var smaller bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&smaller, paletted)
	return smaller.Bytes(), err
}

func differ(a, b color.Color) bool {
	const visible = 12 << 8
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	return max(ar, br)-min(ar, br) > visible || max(ag, bg)-min(ag, bg) > visible || max(ab, bb)-min(ab, bb) > visible
}
