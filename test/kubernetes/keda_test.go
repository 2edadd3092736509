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

// kedaModule brings the schema that KEDA publishes; nothing of it is compiled.
const kedaModule = "github.com/kedacore/keda/v2@v2.21.0"

// publishedSchema holds a ScaledObject against KEDA's own definition of it, as the
// cluster would, and besides against fields that it does not know, which the
// cluster would drop without a word.
func publishedSchema(t *testing.T, text []byte) {
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

// definition is the schema in the custom resource definition of a ScaledObject.
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

// closed makes every object of a schema refuse what it has no property for.
// metadata is the cluster's own, and so left open.
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

// TestScaling: KEDA looks at the lag of the group that the service is in, scales
// the service, and never beyond the partitions.
func TestScaling(t *testing.T) {
	m := build(t, "keda")
	const partitions = 6
	if m.deployment.Spec.Replicas != nil {
		t.Errorf("the Deployment says %d replicas, which each apply would set again", *m.deployment.Spec.Replicas)
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
		t.Errorf("without KEDA %d replicas", *replicas)
	}
}
