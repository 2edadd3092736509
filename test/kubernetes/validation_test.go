package kubernetes

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
)

// strategies are how the API server of Kubernetes creates each kind.
var strategies = map[string]rest.RESTCreateStrategy{
	"Deployment": deployment.Strategy, "Job": job.Strategy, "ConfigMap": configmap.Strategy, "Service": service.Strategy,
	"ServiceAccount": serviceaccount.Strategy, "NetworkPolicy": networkpolicy.Strategy,
	"PodDisruptionBudget": poddisruptionbudget.Strategy,
}

// dryRun does with a resource what the API server does for `kubectl apply --dry-run=server`,
// without admission: decode it strictly, set defaults, validate. A warning fails the test.
func dryRun(t *testing.T, manifest []byte) {
	t.Helper()
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	object, kind, err := codecs.UniversalDecoder().Decode(manifest, nil, nil)
	if err != nil {
		t.Error(err)
		return
	}
	metadata, err := meta.Accessor(object)
	if err != nil {
		t.Fatal(err)
	}
	const namespace = "delivery" // overlays set one
	metadata.SetNamespace(namespace)
	rest.FillObjectMetaSystemFields(metadata)
	ctx := request.WithRequestInfo(request.WithNamespace(t.Context(), namespace), &request.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIGroup: kind.Group, APIVersion: kind.Version, Namespace: namespace,
	})
	strategy := strategies[kind.Kind]
	if err := rest.BeforeCreate(strategy, ctx, object); err != nil {
		t.Error(err)
	}
	for _, warning := range strategy.WarningsOnCreate(ctx, object) {
		t.Errorf("%s %s: %s", kind.Kind, metadata.GetName(), warning)
	}
}
