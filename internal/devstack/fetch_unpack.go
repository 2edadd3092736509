package devstack

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/ulikunitz/xz"
)

// unpack writes the tree inside the jar's .txz to target, readable by every
// user whatever the umask.
func (f fetcher) unpack(ctx context.Context, jar, target string) (err error) {
	files, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	for _, file := range files.File {
		if strings.HasSuffix(file.Name, ".txz") {
			return f.unpackMember(ctx, file, target)
		}
	}
	return errors.New("the jar holds no .txz")
}

func (f fetcher) unpackMember(ctx context.Context, member *zip.File, target string) (err error) {
	packed, err := member.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	bar := newProgress(f.progress, "unpacking PostgreSQL "+fetchedVersion, int64(member.UncompressedSize64))
	unpacked, err := xz.NewReader(bufio.NewReaderSize(io.TeeReader(packed, bar), 1<<16))
	if err == nil {
		err = untar(ctx, unpacked, target)
	}
	bar.finish(err)
	return err
}

// untar stays below target, whatever names and links the archive holds.
func untar(ctx context.Context, from io.Reader, target string) (err error) {
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	entries := tar.NewReader(from)
	for ctx.Err() == nil {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = writeEntry(root, header, entries)
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func writeEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if err := makeDirs(root, path.Dir(name)); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return makeDirs(root, name)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		return writeFile(root, name, header.FileInfo().Mode().Perm(), content)
	default:
		return fmt.Errorf("%s: unexpected type %q in the archive", name, header.Typeflag)
	}
}

// makeDirs is MkdirAll with a mode that no umask narrows.
func makeDirs(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if err := makeDirs(root, path.Dir(name)); err != nil {
		return err
	}
	err := root.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

func writeFile(root *os.Root, name string, mode fs.FileMode, content io.Reader) (err error) {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	return file.Chmod(mode | 0o444)
}
