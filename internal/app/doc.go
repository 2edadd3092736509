// Package app puts the service together and takes it apart: it is the only
// place that knows every other package. Serve is the service alone, as in
// production; Dev is the service with everything around it in one process.
package app
