package compose

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestPrometheusScrapesTheService: at its name and port in the stack; and every
// file of rules that it is told of is there.
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
	project := load(t, "zookeeper, observability", "METRICS_TOKEN=a-token-of-our-own-making")
	tokens := *project.Services["service-courier"].Environment["API_TOKENS"]
	for _, scrape := range config.Scrape {
		mounted := project.Services["prometheus"].Configs[0]
		if token := project.Configs[mounted.Source].Content; mounted.Target != scrape.Auth.File || !strings.HasSuffix(tokens, ":read:"+token) {
			t.Errorf("%s: token %s in %s; the service has %s", scrape.Job, token, mounted.Target, tokens)
		}
		for _, static := range scrape.Static {
			for _, target := range static.Targets {
				host, port, err := net.SplitHostPort(target)
				if err != nil || scrape.Path != "/metrics" || !listens(project.Services[host], port) {
					t.Errorf("%s: %s%s: nothing answers there: %v", scrape.Job, target, scrape.Path, err)
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

// TestGrafanaFindsPrometheusAndTheDashboards, where compose mounts them.
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
