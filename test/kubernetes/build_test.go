package kubernetes

import (
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are what an overlay is built to, one of each kind.
type manifests struct {
	account    corev1.ServiceAccount
	settings   corev1.ConfigMap
	migrate    batchv1.Job
	deployment appsv1.Deployment
	service    corev1.Service
	budget     policyv1.PodDisruptionBudget
	scaled     scaledObject // of the overlay keda
}

// scaledObject is what the tests look at; its whole is held against KEDA's schema.
// KEDA's own type would bring its controller's libraries.
type scaledObject struct {
	Spec struct {
		ScaleTargetRef  struct{ Name string } `json:"scaleTargetRef"`
		MinReplicaCount int32                 `json:"minReplicaCount"`
		MaxReplicaCount int32                 `json:"maxReplicaCount"`
		Triggers        []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// build builds an overlay as `kubectl apply -k` does, and reads the result
// strictly: a field that the API does not know fails the test.
func build(t *testing.T, overlay string) *manifests {
	t.Helper()
	path := filepath.Join("..", "..", "deploy", "kubernetes", overlay)
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		t.Fatal(err)
	}
	m := &manifests{}
	kinds := map[string]any{
		"ServiceAccount": &m.account, "ConfigMap": &m.settings, "Job": &m.migrate, "Deployment": &m.deployment,
		"Service": &m.service, "PodDisruptionBudget": &m.budget,
	}
	if overlay == "keda" {
		kinds["ScaledObject"] = &m.scaled
	}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		into, known := kinds[r.GetKind()]
		if !known {
			t.Fatalf("%s: %s twice, or not looked at by any test", overlay, r.GetKind())
		}
		delete(kinds, r.GetKind())
		if r.GetKind() == "ScaledObject" {
			publishedSchema(t, text)
			err = yaml.Unmarshal(text, into)
		} else {
			err = yaml.UnmarshalStrict(text, into)
		}
		if err != nil {
			t.Errorf("%s: %s: %v", overlay, r.GetKind(), err)
		}
	}
	for kind := range kinds {
		t.Errorf("%s: no %s", overlay, kind)
	}
	return m
}

// eachOverlay runs a check on the base and on what is built on it.
func eachOverlay(t *testing.T, check func(t *testing.T, m *manifests)) {
	t.Helper()
	for _, overlay := range []string{"base", "keda"} {
		t.Run(overlay, func(t *testing.T) { check(t, build(t, overlay)) })
	}
}
