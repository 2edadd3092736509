package kubernetes

import (
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"service-courier/test/settings"
)

// secrets are those that the manifests refer to, with the keys that settings.yaml
// says are in them.
var secrets = map[string]map[string]string{
	"service-courier": {
		"DATABASE_URL": "postgres://courier:sesame@postgres:5432/courier?sslmode=verify-full",
		"API_TOKENS":   "ann:operate:0123456789abcdef01234567",
	},
	"service-courier-migrate": {"DATABASE_URL": "postgres://owner:sesame@postgres:5432/courier?sslmode=verify-full"},
}

// TestSettings: with the secrets, the service accepts its settings and knows all of
// them; and it is reached at the port that the Service leads to.
func TestSettings(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		c := m.deployment.Spec.Template.Spec.Containers[0]
		environment := make(map[string]string)
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil && from.ConfigMapRef.Name == m.settings.Name {
				maps.Copy(environment, m.settings.Data)
			}
			if from.SecretRef != nil {
				maps.Copy(environment, secrets[from.SecretRef.Name])
			}
		}
		cfg, err := settings.Load(t, environment)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Insecure {
			t.Error("it asks nobody who he is")
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

// TestMigrate: the Job has what migrate needs, of a secret of its own: the service
// must not have the right to change the schema.
func TestMigrate(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		c := m.migrate.Spec.Template.Spec.Containers[0]
		environment := make(map[string]string)
		for _, e := range c.Env {
			key := e.ValueFrom.SecretKeyRef
			if key.Name == "service-courier" {
				t.Errorf("%s is the service's", e.Name)
			}
			environment[e.Name] = secrets[key.Name][key.Key]
		}
		if _, err := settings.LoadDatabaseURL(t, environment); err != nil {
			t.Error(err)
		}
		if !slices.Equal(c.Args, []string{"migrate", "up"}) || m.migrate.Spec.TTLSecondsAfterFinished == nil {
			t.Errorf("%q, kept for %v", c.Args, m.migrate.Spec.TTLSecondsAfterFinished)
		}
	})
}

// TestProbes: each asks a route that the API's document has, by the container's
// port. Liveness must not depend on the database; readiness must.
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
			t.Errorf("a start that waits for the database would be ended: %+v", c.StartupProbe.HTTPGet)
		}
		if c.ReadinessProbe.TimeoutSeconds < 3 {
			t.Error("/readyz takes 2 s where a part does not answer")
		}
		if grace := m.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds; *grace <= 5 {
			t.Errorf("%d s to stop, and the service may take 5", *grace)
		}
	})
}

// TestNothingRunsAsRoot, and no container can change its image or gain rights.
func TestNothingRunsAsRoot(t *testing.T) {
	eachOverlay(t, func(t *testing.T, m *manifests) {
		for name, pod := range map[string]corev1.PodSpec{"service": m.deployment.Spec.Template.Spec, "migrate": m.migrate.Spec.Template.Spec} {
			if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: %+v", name, s)
			}
			if *pod.AutomountServiceAccountToken || pod.ServiceAccountName != m.account.Name || *m.account.AutomountServiceAccountToken {
				t.Errorf("%s: it can ask the cluster", name)
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

// TestSelectors: the Service, the budget and the spread mean the service's pods, and
// not the Job's, which have the same name.
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

func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}
