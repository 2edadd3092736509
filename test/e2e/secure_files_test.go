package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"service-courier/test/certificates"
)

// folder holds files of certificates, keys and passwords.
type folder struct {
	*testing.T
	dir string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// put writes a file at once, for somebody may be reading it, and returns its path.
func (f folder) put(name string, content []byte) string {
	f.Helper()
	fresh := f.path(name + ".new")
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Rename(fresh, f.path(name)); err != nil {
		f.Fatal(err)
	}
	return f.path(name)
}

// putPair writes NAME.pem and NAME.key.
func (f folder) putPair(name string, p certificates.Pair) (certificate, key string) {
	f.Helper()
	return f.put(name+".pem", p.Certificate), f.put(name+".key", p.Key)
}
