// Package release looks at what `make snapshot` has made: the archives, their
// checksums and the lists of what is in the programs.
package release
