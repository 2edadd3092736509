package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/url"
)

// page is how the server hands out lists.
type page struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor string            `json:"next_cursor"`
}

// Items yields the items of a list, page after page, as they are asked for; an
// error ends it.
func (c *Client) Items(ctx context.Context, path string, query url.Values) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		query := maps.Clone(query)
		for {
			p, err := c.page(ctx, path, query)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			query.Set("cursor", p.NextCursor)
		}
	}
}

func (c *Client) page(ctx context.Context, path string, query url.Values) (page, error) {
	answer, err := c.Get(ctx, path, query)
	if err != nil {
		return page{}, err
	}
	var p page
	if err := json.Unmarshal(answer, &p); err != nil {
		return page{}, fmt.Errorf("GET %s: not a page of a list: %w", path, err)
	}
	return p, nil
}
