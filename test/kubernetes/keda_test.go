package kubernetes

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// kedaModule contains KEDA's schema; its code is not compiled.
const kedaModule = "github.com/kedacore/keda/v2@v2.21.0"

// checkKedaSchema validates a ScaledObject against KEDA's definition, as the cluster
// does, and rejects unknown fields, which the cluster would drop silently.
func checkKedaSchema(t *testing.T, text []byte) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("scaledobject.json", closed(definition(t))); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("scaledobject.json")
	if err != nil {
		t.Fatal(err)
	}
	var object any
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(object); err != nil {
		t.Error(err)
	}
}

// definition returns the schema from the custom resource definition of a ScaledObject.
func definition(t *testing.T) any {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", kedaModule).Output()
	if err != nil {
		t.Fatalf("fetch %s: %v", kedaModule, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(module.Dir, "config", "crd", "bases", "keda.sh_scaledobjects.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(content, &crd); err != nil {
		t.Fatal(err)
	}
	if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Name != "v1alpha1" {
		t.Fatalf("versions %+v", crd.Spec.Versions)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// closed makes every object of a schema reject unknown properties, except metadata,
// which the cluster defines.
func closed(schema any) any {
	object, ok := schema.(map[string]any)
	if !ok {
		return schema
	}
	if properties, ok := object["properties"].(map[string]any); ok {
		object["additionalProperties"] = false
		for _, property := range properties {
			closed(property)
		}
	}
	closed(object["items"])
	return object
}

// TestScaling: KEDA scales the service by the lag of its consumer group, at most to
// the number of partitions.
func TestScaling(t *testing.T) {
	m := build(t, "keda")
	const partitions = 6
	if m.deployment.Spec.Replicas != nil {
		t.Errorf("the Deployment sets %d replicas, so each apply would reset them", *m.deployment.Spec.Replicas)
	}
	spec := m.scaled.Spec
	if spec.ScaleTargetRef.Name != m.deployment.Name || spec.MaxReplicaCount > partitions || spec.MinReplicaCount < 1 || spec.MinReplicaCount > spec.MaxReplicaCount {
		t.Errorf("%+v", spec)
	}
	if len(spec.Triggers) != 1 || spec.Triggers[0].Type != "kafka" {
		t.Fatalf("triggers %+v", spec.Triggers)
	}
	for setting, field := range map[string]string{
		"KAFKA_BROKERS": "bootstrapServers", "KAFKA_GROUP_ID": "consumerGroup", "KAFKA_ORDER_TOPIC": "topic",
	} {
		if got, want := spec.Triggers[0].Metadata[field], m.settings.Data[setting]; got != want {
			t.Errorf("%s is %q, the service's %s is %q", field, got, setting, want)
		}
	}
	if replicas := build(t, "base").deployment.Spec.Replicas; *replicas < 2 || *replicas > partitions {
		t.Errorf("%d replicas without KEDA", *replicas)
	}
}
