// Package kubernetes holds the manifests of deploy/kubernetes against the types of
// Kubernetes' API, KEDA's published schema, and the service's own code, as far as
// that can be done without a cluster.
package kubernetes
