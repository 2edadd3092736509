// Package kubernetes validates the manifests of deploy/kubernetes with the code of the
// API server, and compares them with KEDA's published schema and the service's code, as far
// as that is possible without a cluster.
package kubernetes

import (
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are the resources of an overlay.
type manifests struct {
	account           corev1.ServiceAccount
	settings          corev1.ConfigMap
	migrateSettings   corev1.ConfigMap
	migrate           batchv1.Job
	deployment        appsv1.Deployment
	service           corev1.Service
	budget            policyv1.PodDisruptionBudget
	connections       networkingv1.NetworkPolicy
	migrateConnection networkingv1.NetworkPolicy
	scaled            scaledObject // overlay keda only
}

// scaledObject has the fields that the tests read; checkKedaSchema checks the rest.
// Importing KEDA's type would add the libraries of its controller.
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

// build builds an overlay as `kubectl apply -k` does. A field unknown to the API
// fails the test.
func build(t *testing.T, overlay string) *manifests {
	t.Helper()
	path := filepath.Join("..", "..", "deploy", "kubernetes", overlay)
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		t.Fatal(err)
	}
	m := &manifests{}
	resourcesByName := map[string]any{
		"ServiceAccount service-courier": &m.account, "ConfigMap service-courier": &m.settings, "ConfigMap service-courier-migrate": &m.migrateSettings,
		"Job service-courier-migrate": &m.migrate, "Deployment service-courier": &m.deployment, "Service service-courier": &m.service,
		"PodDisruptionBudget service-courier": &m.budget,
		"NetworkPolicy service-courier":       &m.connections, "NetworkPolicy service-courier-migrate": &m.migrateConnection,
	}
	if overlay == "keda" {
		resourcesByName["ScaledObject service-courier"] = &m.scaled
	}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		name := r.GetKind() + " " + r.GetName()
		into, known := resourcesByName[name]
		if !known {
			t.Fatalf("%s: %s occurs twice, or no test checks it", overlay, name)
		}
		delete(resourcesByName, name)
		if r.GetKind() == "ScaledObject" {
			checkKedaSchema(t, text)
			err = yaml.Unmarshal(text, into)
		} else {
			dryRun(t, text)
			err = yaml.UnmarshalStrict(text, into)
		}
		if err != nil {
			t.Errorf("%s: %s: %v", overlay, name, err)
		}
	}
	for name := range resourcesByName {
		t.Errorf("%s: no %s", overlay, name)
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
