// Command screenshots writes a picture of each page of a running service, light and dark.
// `make screenshots` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	all := []string{"", "couriers", "statistics", "events", "dead-letters", "health", "playground"}
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
			if err := shoot(ctx, *url+"/ui/"+strings.TrimPrefix(page, "/"), *out, page, theme, *width, *height, *wait); err != nil {
				fmt.Fprintln(os.Stderr, page, err)
				os.Exit(1) //nolint:gocritic // the process ends
			}
		}
	}
}

func shoot(ctx context.Context, url, out, page, theme string, width, height int64, wait time.Duration) error {
	name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-").Replace(page), "-")
	if name == "" {
		name = "board"
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	}); err != nil {
		return err
	}
	if err := chromedp.Do(ctx,
		chromedp.EmulateViewport(width, height),
		chromedp.Navigate(url),
		chromedp.WaitVisible(chromedp.CSS("main")),
		chromedp.Sleep(wait), // for the data
	); err != nil {
		return err
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, fmt.Sprintf("%s-%s.png", name, theme)), picture, 0o644)
}
