// Command refresh fetches the libraries of the web interface from the npm registry: the
// versions in lib/manifest.json, byte for byte but for the edits listed there. It writes
// their checksums into the manifest. Run it with `make web-libs`.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// library is one package of the registry. Integrity is the registry's checksum of the
// package; once written, another package of the same version is refused.
type library struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	License   string `json:"license"`
	Integrity string `json:"integrity"`
	Folder    string `json:"folder,omitempty"` // beside the manifest when empty
	Files     []file `json:"files"`
}

// file is one file of a package. A browser resolves no bare names of modules, and the
// policy of the pages permits no import map, so that such names are replaced.
type file struct {
	From    string   `json:"from"`
	To      string   `json:"to"`
	Replace []string `json:"replace,omitempty"` // a text and what replaces it
	Remove  []string `json:"remove,omitempty"`
	SHA256  string   `json:"sha256"` // of the file as stored here
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: refresh MANIFEST")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := refresh(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the process ends
	}
}

func refresh(ctx context.Context, manifest string) error {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	var all []library
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%s: %w", manifest, err)
	}
	for i := range all {
		if err := all[i].fetch(ctx, filepath.Dir(manifest)); err != nil {
			return fmt.Errorf("%s@%s: %w", all[i].Name, all[i].Version, err)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all); err != nil {
		return err
	}
	return os.WriteFile(manifest, out.Bytes(), 0o644)
}

// fetch downloads the package with npm and writes its files.
func (l *library) fetch(ctx context.Context, dir string) error {
	scratch, err := os.MkdirTemp("", "web-libs")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	pack := exec.CommandContext(ctx, "npm", "pack", "--json", "--pack-destination", scratch, l.Name+"@"+l.Version)
	pack.Stderr = os.Stderr
	text, err := pack.Output()
	if err != nil {
		return fmt.Errorf("npm pack: %w", err)
	}
	var packed []struct{ Filename, Integrity string }
	if err := json.Unmarshal(text, &packed); err != nil || len(packed) != 1 {
		return fmt.Errorf("npm pack answered %q", text)
	}
	if l.Integrity != "" && l.Integrity != packed[0].Integrity {
		return errors.New("the registry has another package of this version; check it, then remove the integrity from the manifest")
	}
	l.Integrity = packed[0].Integrity
	content, err := unpack(filepath.Join(scratch, filepath.Base(packed[0].Filename)))
	if err != nil {
		return err
	}
	for i := range l.Files {
		if err := l.Files[i].write(content, filepath.Join(dir, l.Folder)); err != nil {
			return err
		}
	}
	return nil
}

func unpack(archive string) (map[string][]byte, error) {
	in, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	zipped, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	content := make(map[string][]byte)
	for entries := tar.NewReader(zipped); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return nil, err
		}
		if content[strings.TrimPrefix(entry.Name, "package/")], err = io.ReadAll(entries); err != nil {
			return nil, err
		}
	}
}

func (f *file) write(content map[string][]byte, dir string) error {
	text, ok := content[f.From]
	if !ok {
		return fmt.Errorf("no file %s", f.From)
	}
	edits := f.Replace
	for _, r := range f.Remove {
		edits = append(edits, r, "")
	}
	for i := 0; i+1 < len(edits); i += 2 {
		if !bytes.Contains(text, []byte(edits[i])) {
			return fmt.Errorf("%s lacks %q, which is to be replaced", f.From, edits[i])
		}
		text = bytes.ReplaceAll(text, []byte(edits[i]), []byte(edits[i+1]))
	}
	sum := sha256.Sum256(text)
	f.SHA256 = hex.EncodeToString(sum[:])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, f.To), text, 0o644)
}
