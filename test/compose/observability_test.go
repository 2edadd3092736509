package compose

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"service-courier/internal/access"
)

// TestPrometheusScrapesTheService at its name and port in the stack, with its token, and
// every rule file exists.
func TestPrometheusScrapesTheService(t *testing.T) {
	dir := filepath.Join("..", "..", "deploy", "observability", "prometheus")
	var config struct {
		Global    map[string]string `yaml:"global"`
		RuleFiles []string          `yaml:"rule_files"`
		Scrape    []struct {
			Job  string `yaml:"job_name"`
			Path string `yaml:"metrics_path"`
			Auth struct {
				File string `yaml:"credentials_file"`
			} `yaml:"authorization"`
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	strictly(t, filepath.Join(dir, "prometheus.yml"), &config)
	project := load(t, "zookeeper, observability")
	secretsDir := secrets(t)
	tokens, err := access.OpenFile(filepath.Join(secretsDir, "tokens"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, scrape := range config.Scrape {
		if !slices.ContainsFunc(project.Services["prometheus"].Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Source == "secrets" && v.Target == filepath.Dir(scrape.Auth.File)
		}) {
			t.Errorf("%s: no volume has %s", scrape.Job, scrape.Auth.File)
		}
		token := read(t, filepath.Join(secretsDir, filepath.Base(scrape.Auth.File)))
		if caller, known := tokens.Caller(t.Context(), token); !known || caller.Role != access.Read {
			t.Errorf("%s: the service knows its token: %t, as %+v", scrape.Job, known, caller)
		}
		for _, static := range scrape.Static {
			for _, target := range static.Targets {
				host, port, err := net.SplitHostPort(target)
				if err != nil || scrape.Path != "/metrics" || !listens(project.Services[host], port) {
					t.Errorf("%s: %s%s: no service listens there: %v", scrape.Job, target, scrape.Path, err)
				}
			}
		}
	}
	for _, name := range config.RuleFiles {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestGrafanaFindsPrometheusAndTheDashboards where compose mounts them.
func TestGrafanaFindsPrometheusAndTheDashboards(t *testing.T) {
	project := load(t, "zookeeper, observability")
	dir := filepath.Join("..", "..", "deploy", "observability", "grafana")
	var sources struct {
		Sources []struct{ URL, UID string } `yaml:"datasources"`
	}
	loosely(t, filepath.Join(dir, "provisioning", "datasources", "prometheus.yaml"), &sources)
	if len(sources.Sources) != 1 || sources.Sources[0].URL != "http://prometheus:9090" || project.Services["prometheus"].Ports[0].Target != 9090 {
		t.Errorf("data sources %+v", sources)
	}
	var dashboards struct {
		Providers []struct {
			Options struct{ Path string }
		}
	}
	loosely(t, filepath.Join(dir, "provisioning", "dashboards", "dashboards.yaml"), &dashboards)
	var mounted []string
	for _, v := range project.Services["grafana"].Volumes {
		mounted = append(mounted, v.Target)
	}
	if len(dashboards.Providers) != 1 || !slices.Contains(mounted, dashboards.Providers[0].Options.Path) {
		t.Errorf("dashboards %+v, mounted %v", dashboards, mounted)
	}
}

func strictly(t *testing.T, path string, into any) { t.Helper(); decode(t, path, into, true) }
func loosely(t *testing.T, path string, into any)  { t.Helper(); decode(t, path, into, false) }

func decode(t *testing.T, path string, into any, strict bool) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(strict)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
