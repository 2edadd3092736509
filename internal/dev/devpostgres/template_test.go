package devpostgres

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestTemplate: several programs that start at once share one template, and each has a
// cluster of its own. A cache that cannot be used, or a template that cannot be copied,
// stops no start.
func TestTemplate(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(reachableDir(t), "cache")
	start := func(cache string) *Server {
		pg, err := Start(t.Context(), Config{Template: true, CacheDir: cache, Fast: true, Logger: silent()})
		if err != nil {
			t.Error(err)
			return nil
		}
		stopIn(t, pg.Stop)
		return pg
	}
	var both [2]*Server
	var wg sync.WaitGroup
	for i := range both {
		wg.Go(func() { both[i] = start(cache) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, pg := range both {
		execute(t, pg.URL("postgres"), "CREATE TABLE own ()")
	}
	if both[0].password != both[1].password {
		t.Error("not from one template")
	}
	found, err := filepath.Glob(filepath.Join(cache, "cluster-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("templates in the cache: %v, %v", found, err)
	}

	must(t, os.RemoveAll(filepath.Join(found[0], "data")))
	for _, unusable := range []string{cache, found[0] + "/password/x"} {
		if pg := start(unusable); pg != nil && pg.password == both[0].password {
			t.Errorf("with the cache %s: from the template", unusable)
		}
	}
}
