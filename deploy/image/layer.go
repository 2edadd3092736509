package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// certificates is where Go, as OpenSSL on Debian, looks for the authorities.
const certificates = "etc/ssl/certs/ca-certificates.crt"

// authorities are those that Mozilla trusts, in PEM. Some it trusts for part of
// their certificates only, which PEM cannot say: these are left out.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes it
		}
	}
	return all.Bytes()
}

// layer holds one file, and the folders that lead to it; root's, as all files
// that the program must not change.
func layer(name string, content []byte, mode fs.FileMode, at time.Time) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i, r := range name {
		if r != '/' {
			continue
		}
		if err := w.WriteHeader(header(tar.Header{Typeflag: tar.TypeDir, Name: name[:i+1], Mode: 0o755}, at)); err != nil {
			return nil, fmt.Errorf("layer of %s: %w", name, err)
		}
	}
	file := tar.Header{Typeflag: tar.TypeReg, Name: path.Clean(name), Mode: int64(mode), Size: int64(len(content))}
	if err := w.WriteHeader(header(file, at)); err != nil {
		return nil, fmt.Errorf("layer of %s: %w", name, err)
	}
	if _, err := io.Copy(w, bytes.NewReader(content)); err != nil {
		return nil, fmt.Errorf("layer of %s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("layer of %s: %w", name, err)
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

func header(h tar.Header, at time.Time) *tar.Header {
	h.ModTime, h.Format = at, tar.FormatUSTAR
	return &h
}
