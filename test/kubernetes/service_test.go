package kubernetes

import (
	"encoding/json"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"service-courier/test/settings"
)

// secrets are the files of the secrets, as settings.yaml and docs/deploy.md describe them.
var secrets = map[string]map[string]string{
	"service-courier": {
		"tokens": "ann:operate:0123456789abcdef01234567\n",
		"pgpass": "*:*:*:*:sesame\n",
	},
	"service-courier-migrate": {"pgpass": "*:*:*:*:sesame of the owner\n"},
}

// mount writes the files of the pod's secret and returns the settings with the paths of
// those files instead of the mounted ones.
func mount(t *testing.T, pod corev1.PodSpec, settings map[string]string) map[string]string {
	t.Helper()
	dir, c, v := t.TempDir(), pod.Containers[0], pod.Volumes[0]
	if len(pod.Volumes) != 1 || len(c.VolumeMounts) != 1 || c.VolumeMounts[0].Name != v.Name || !c.VolumeMounts[0].ReadOnly {
		t.Fatalf("mounts %+v of %+v", c.VolumeMounts, pod.Volumes)
	}
	// Only root and the group own the files of a secret.
	if *v.Secret.DefaultMode != 0o440 || *pod.SecurityContext.FSGroup != *pod.SecurityContext.RunAsGroup {
		t.Errorf("mode %o, group %d", *v.Secret.DefaultMode, *pod.SecurityContext.FSGroup)
	}
	for name, content := range secrets[v.Secret.SecretName] {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	local := maps.Clone(settings)
	for name, value := range local {
		local[name] = strings.ReplaceAll(value, c.VolumeMounts[0].MountPath, dir)
	}
	return local
}

// TestSettings: the service knows and accepts all settings, its secrets are files, and it
// listens on the Service's port.
func TestSettings(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		pod := m.deployment.Spec.Template.Spec
		c := pod.Containers[0]
		if len(c.Env) != 0 || len(c.EnvFrom) != 1 || c.EnvFrom[0].ConfigMapRef.Name != m.settings.Name {
			t.Errorf("environment %+v, %+v", c.Env, c.EnvFrom)
		}
		environment := mount(t, pod, m.settings.Data)
		cfg, err := settings.Load(t, environment)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Insecure || cfg.APITokensFile == "" {
			t.Error("the API needs no token")
		}
		if client, err := pgconn.ParseConfig(cfg.DatabaseURL); err != nil || client.Password != "sesame" || client.User != "courier" {
			t.Errorf("connects as %+v, %v", client, err)
		}
		if !slices.Contains(cfg.HTTPAllowedHosts, m.service.Name) {
			t.Errorf("the API is not available as %s: HTTP_ALLOWED_HOSTS is %v", m.service.Name, cfg.HTTPAllowedHosts)
		}
		port := c.Ports[0]
		if _, listens, _ := net.SplitHostPort(cfg.HTTPAddr); listens != strconv.Itoa(int(port.ContainerPort)) || m.service.Spec.Ports[0].TargetPort.StrVal != port.Name {
			t.Errorf("HTTP_ADDR %s, container port %+v, service %+v", cfg.HTTPAddr, port, m.service.Spec.Ports)
		}
		if !slices.Equal(c.Args, []string{"serve"}) {
			t.Errorf("runs %q", c.Args)
		}
	})
}

// TestMigrate: the Job has its own role and secret, because the service must not be able
// to change the schema.
func TestMigrate(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		pod := m.migrate.Spec.Template.Spec
		c := pod.Containers[0]
		if len(c.Env) != 0 || len(c.EnvFrom) != 1 || c.EnvFrom[0].ConfigMapRef.Name != m.migrateSettings.Name {
			t.Errorf("environment %+v, %+v", c.Env, c.EnvFrom)
		}
		url, err := settings.LoadDatabaseURL(t, mount(t, pod, m.migrateSettings.Data))
		if err != nil {
			t.Fatal(err)
		}
		if client, err := pgconn.ParseConfig(url); err != nil || client.Password != "sesame of the owner" || client.User != "owner" {
			t.Errorf("connects as %+v, %v", client, err)
		}
		if !slices.Equal(c.Args, []string{"migrate", "up"}) || m.migrate.Spec.TTLSecondsAfterFinished == nil {
			t.Errorf("%q, kept for %v", c.Args, m.migrate.Spec.TTLSecondsAfterFinished)
		}
	})
}

// TestProbes: each probe uses a documented route on the container's port. Liveness
// must not depend on the database; readiness must.
func TestProbes(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Paths map[string]any }
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	eachOverlay(t, func(t *testing.T, m *manifests) {
		c := m.deployment.Spec.Template.Spec.Containers[0]
		for path, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if probe.HTTPGet.Path != path || document.Paths[path] == nil || probe.HTTPGet.Port.StrVal != c.Ports[0].Name {
				t.Errorf("probe of %s: %+v", path, probe.HTTPGet)
			}
		}
		if c.StartupProbe.HTTPGet.Path != "/livez" {
			t.Errorf("a start that waits for the database would be killed: %+v", c.StartupProbe.HTTPGet)
		}
		if c.ReadinessProbe.TimeoutSeconds < 3 {
			t.Error("/readyz needs 2 s when a component does not answer")
		}
		if grace := m.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds; *grace <= 5 {
			t.Errorf("%d s to stop, but the service may need 5", *grace)
		}
	})
}

// TestNothingRunsAsRoot: nor can a container write to its image or gain privileges.
func TestNothingRunsAsRoot(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		for name, pod := range map[string]corev1.PodSpec{"service": m.deployment.Spec.Template.Spec, "migrate": m.migrate.Spec.Template.Spec} {
			if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: %+v", name, s)
			}
			if *pod.AutomountServiceAccountToken || pod.ServiceAccountName != m.account.Name || *m.account.AutomountServiceAccountToken {
				t.Errorf("%s: it can call the cluster's API", name)
			}
			for _, c := range pod.Containers {
				s := c.SecurityContext
				if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("%s: %+v", name, s)
				}
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: resources %+v", name, c.Resources)
				}
				if !regexp.MustCompile(`^service-courier:v\d+\.\d+\.\d+$`).MatchString(c.Image) {
					t.Errorf("%s: image %s", name, c.Image)
				}
			}
		}
	})
}

// TestSelectors: the Service, the budget and the spread select the service's pods and
// not those of the Job with the same name.
func TestSelectors(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		pods, job := m.deployment.Spec.Template.Labels, m.migrate.Spec.Template.Labels
		spread := m.deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels
		for name, selector := range map[string]map[string]string{
			"Deployment": m.deployment.Spec.Selector.MatchLabels, "Service": m.service.Spec.Selector,
			"PodDisruptionBudget": m.budget.Spec.Selector.MatchLabels, "spread": spread,
		} {
			if len(selector) == 0 || !selects(selector, pods) || selects(selector, job) {
				t.Errorf("%s selects %v; pods %v, job %v", name, selector, pods, job)
			}
		}
	})
}

// TestConnections: each policy allows what the settings need and nothing else comes in.
func TestConnections(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		pods, job := m.deployment.Spec.Template.Labels, m.migrate.Spec.Template.Labels
		service, migrate := m.connections.Spec, m.migrateConnection.Spec
		for _, p := range []struct {
			name        string
			policy      networkingv1.NetworkPolicySpec
			pods, other map[string]string
			ports       []int32
		}{
			{"service", service, pods, job, slices.Concat(portsOf(t, m.settings.Data), []int32{4318})},
			{"migrate", migrate, job, pods, portsOf(t, m.migrateSettings.Data)},
		} {
			if selector := p.policy.PodSelector.MatchLabels; !selects(selector, p.pods) || selects(selector, p.other) {
				t.Errorf("%s: selects %v", p.name, selector)
			}
			if !slices.Equal(p.policy.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
				t.Errorf("%s: restricts only %v", p.name, p.policy.PolicyTypes)
			}
			var allowed []int32
			for _, rule := range p.policy.Egress {
				for _, port := range rule.Ports {
					allowed = append(allowed, port.Port.IntVal)
				}
			}
			want := append(p.ports, 53, 53)
			slices.Sort(want)
			slices.Sort(allowed)
			if !slices.Equal(allowed, want) {
				t.Errorf("%s: may connect to ports %v, needs %v", p.name, allowed, want)
			}
		}
		if len(migrate.Ingress) != 0 || len(service.Ingress) != 1 || len(service.Ingress[0].From) != 1 ||
			len(service.Ingress[0].Ports) != 1 || service.Ingress[0].Ports[0].Port.StrVal != m.deployment.Spec.Template.Spec.Containers[0].Ports[0].Name {
			t.Errorf("lets in %+v and %+v", service.Ingress, migrate.Ingress)
		}
	})
}

// portsOf returns the ports of the addresses in settings, except the one to listen on.
func portsOf(t *testing.T, settings map[string]string) (ports []int32) {
	t.Helper()
	for name, value := range settings {
		address := value
		switch name {
		case "KAFKA_BROKERS", "ORDER_SERVICE_GRPC_ADDR":
		case "DATABASE_URL", "ORDER_SERVICE_URL":
			u, err := url.Parse(value)
			if err != nil {
				t.Fatal(err)
			}
			address = u.Host
		default:
			continue
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, int32(n))
	}
	return ports
}

func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}
