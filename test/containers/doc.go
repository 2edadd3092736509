// Package containers runs the compose files and the images on a Docker daemon of its own,
// as `make test-containers` and CI do. There is no registry: stand-ins replace the images
// of others (standins/Dockerfile). The daemon has network, process and mount namespaces of
// its own, so that no port, bridge or container of this machine is touched, and nothing
// outlives the test. Packages, the compose plugin and the daemon's images are cached in
// the user's cache folder.
package containers
