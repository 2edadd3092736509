package main

import (
	"fmt"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// write writes the images of one program, one a platform, into dir: an OCI layout
// of all of them, whose digest it returns, and a tarball of each.
func write(dir, reference, program string, platforms []v1.Platform, images []v1.Image) (v1.Hash, error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("name of the image: %w", err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, img := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &platforms[i]},
		})
		path := filepath.Join(dir, fmt.Sprintf("%s_%s_%s.tar", program, platforms[i].OS, platforms[i].Architecture))
		if err := tarball.WriteToFile(path, tag, img); err != nil {
			return v1.Hash{}, fmt.Errorf("write %s: %w", path, err)
		}
	}
	path := filepath.Join(dir, program)
	top := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add:        index,
		Descriptor: v1.Descriptor{Annotations: map[string]string{"org.opencontainers.image.ref.name": tag.TagStr()}},
	})
	if _, err := layout.Write(path, top); err != nil {
		return v1.Hash{}, fmt.Errorf("write %s: %w", path, err)
	}
	return index.Digest()
}
