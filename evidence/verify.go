package evidence

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"onevault/digest"
)

const (
	// maxOwn bounds the manifest, its signature and the sums, which are read into memory.
	maxOwn = 16 << 20
	// maxFiles bounds the names that are kept of a pack from somewhere.
	maxFiles = 10_000
	// maxWindow is the memory that a compressed file may ask for; ours ask for 8 MiB.
	maxWindow = 32 << 20
)

// Verification is what was found of a pack.
type Verification struct {
	Manifest       Manifest
	ManifestSHA256 string
	Files          int // that were read
	// Problems are all that differs, empty: every file is as the manifest says, and there is no other.
	Problems []string
	// Signed: a signature was checked with the given key, and it is that key's of this manifest.
	Signed bool
}

// found is one file of a pack as it was read.
type found struct {
	bytes  int64
	sha256 string
	rows   int64
	header string
	text   []byte // of the manifest, its signature and the sums
}

// Verify reads a whole pack, a directory or a .tar.zst, and compares it with its manifest. With a public key
// a signature is demanded. The error means that it could not be read as a pack at all.
func Verify(path string, key ed25519.PublicKey) (Verification, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Verification{}, fmt.Errorf("read the pack: %w", err)
	}
	var (
		files    map[string]found
		problems []string
	)
	if info.IsDir() {
		files, problems, err = readDir(path)
	} else {
		files, problems, err = readPacked(path)
	}
	if err != nil {
		return Verification{}, fmt.Errorf("read the pack %s: %w", path, err)
	}
	v := Verification{Problems: problems, Files: len(files)}
	manifest, there := files[ManifestFile]
	if !there {
		return v, fmt.Errorf("%s has no %s: it is no pack of evidence, or not the whole of one", path, ManifestFile)
	}
	if err := json.Unmarshal(manifest.text, &v.Manifest); err != nil {
		return v, fmt.Errorf("the %s of %s cannot be read: %w", ManifestFile, path, err)
	}
	if err := v.Manifest.check(); err != nil {
		return v, fmt.Errorf("the %s of %s: %w", ManifestFile, path, err)
	}
	v.ManifestSHA256 = manifest.sha256
	v.compare(files)
	return v, v.checkSignature(files, key)
}

// problem notes one difference.
func (v *Verification) problem(form string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(form, args...))
}

// compare finds every difference between the files and the manifest.
func (v *Verification) compare(files map[string]found) {
	listed := map[string]bool{ManifestFile: true, SumsFile: true, SignatureFile: true}
	for _, f := range v.Manifest.Files {
		listed[f.Path] = true
		got, there := files[f.Path]
		if !there {
			v.problem("%s is missing", f.Path)
			continue
		}
		if got.sha256 != f.SHA256 {
			v.problem("%s was changed: its SHA-256 should be %s and is %s", f.Path, f.SHA256, got.sha256)
		}
		if got.bytes != f.Bytes {
			v.problem("%s should have %d bytes and has %d", f.Path, f.Bytes, got.bytes)
		}
		if f.Rows == nil {
			continue
		}
		if got.rows != *f.Rows {
			v.problem("%s should have %d rows and has %d", f.Path, *f.Rows, got.rows)
		}
		if header := strings.Join(f.Columns, ","); got.header != header {
			v.problem("%s should have the columns %s and has %s", f.Path, header, got.header)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !listed[name] {
			v.problem("%s does not belong to the pack: the manifest does not name it", name)
		}
	}
	again := v.Manifest
	again.count()
	if again.ContentSHA256 != v.Manifest.ContentSHA256 || again.Rows != v.Manifest.Rows || again.Complete != v.Manifest.Complete {
		v.problem("%s contradicts itself: what it says of the whole does not follow from its files", ManifestFile)
	}
	switch own, there := files[SumsFile]; {
	case !there:
		v.problem("%s is missing", SumsFile)
	case !bytes.Equal(own.text, sums(v.Manifest, v.ManifestSHA256)):
		v.problem("%s is not what follows from the manifest: the manifest or it was changed", SumsFile)
	}
}

func (v *Verification) checkSignature(files map[string]found, key ed25519.PublicKey) error {
	signature, there := files[SignatureFile]
	switch {
	case there && v.Manifest.SigningKey == "":
		v.problem("%s does not belong to the pack: the manifest names no key", SignatureFile)
	case !there && v.Manifest.SigningKey != "":
		v.problem("%s is missing: the manifest says that it was signed with key %s", SignatureFile, v.Manifest.SigningKey)
	}
	if key == nil {
		return nil
	}
	fingerprint, err := Fingerprint(key)
	if err != nil {
		return err
	}
	switch {
	case v.Manifest.SigningKey == "":
		v.problem("the pack is not signed, and a signature of key %s was asked for", fingerprint)
	case v.Manifest.SigningKey != fingerprint:
		v.problem("the pack was signed with another key: %s, not %s", v.Manifest.SigningKey, fingerprint)
	case !there: // said already
	case !ed25519.Verify(key, files[ManifestFile].text, signature.text):
		v.problem("the signature is not that of key %s for this manifest: one of them was changed", fingerprint)
	default:
		v.Signed = true
	}
	return nil
}

// read takes in one file of a pack in constant memory; of the pack's own files the text as well.
func read(name string, r io.Reader) (found, error) {
	var (
		meter   = digest.NewMeter(nil)
		records = &digest.Records{}
		text    bytes.Buffer
		to      = []io.Writer{meter, records}
	)
	own := name == ManifestFile || name == SignatureFile || name == SumsFile
	if own {
		r = io.LimitReader(r, maxOwn+1)
		to = append(to, &text)
	}
	if _, err := io.Copy(io.MultiWriter(to...), r); err != nil {
		return found{}, err
	}
	if own && meter.Bytes() > maxOwn {
		return found{}, fmt.Errorf("%s is larger than %d MiB", name, maxOwn>>20)
	}
	return found{meter.Bytes(), meter.SHA256(), records.Count(), records.Header(), text.Bytes()}, nil
}

func readDir(dir string) (files map[string]found, problems []string, err error) {
	files = map[string]found{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case entry.IsDir():
			return nil
		case len(files) == maxFiles:
			return fmt.Errorf("it has more than %d files", maxFiles)
		case !entry.Type().IsRegular(): // a link shows what lies elsewhere, and may change
			problems = append(problems, name+" is no regular file")
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		one, err := read(name, file)
		files[name] = one
		return errors.Join(err, file.Close())
	})
	return files, problems, err
}

func readPacked(path string) (files map[string]found, problems []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	decompressor, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, nil, err
	}
	defer decompressor.Close()
	files = map[string]found{}
	archive := tar.NewReader(decompressor)
	top := ""
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("it is no whole %s: %w", PackedSuffix, err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		first, name, _ := strings.Cut(header.Name, "/")
		if top == "" {
			top = first
		}
		switch _, twice := files[name]; {
		case len(files) == maxFiles:
			return nil, nil, fmt.Errorf("it has more than %d files", maxFiles)
		case header.Typeflag != tar.TypeReg, first != top, checkPath(name) != nil, twice:
			problems = append(problems, fmt.Sprintf("%q does not belong to the pack: no file with a name of its own in the pack's directory", header.Name))
			continue
		}
		one, err := read(name, archive)
		if err != nil {
			return nil, nil, err
		}
		files[name] = one
	}
	// What follows the last file is read, too: a stream that was cut off or added to is no pack.
	if n, err := io.Copy(io.Discard, decompressor); err != nil {
		return nil, nil, fmt.Errorf("it is no whole %s: %w", PackedSuffix, err)
	} else if n > 0 {
		problems = append(problems, fmt.Sprintf("%d bytes follow the end of the archive", n))
	}
	return files, problems, nil
}
