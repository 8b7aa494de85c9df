package evidence

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"onevault/digest"
)

// PackedSuffix makes a path one file instead of a directory.
const PackedSuffix = ".tar.zst"

// Writer is a pack on its way. Until Finish it lies beside the place where it is to be, under another name.
type Writer struct {
	Manifest Manifest

	out    string // where it is to be
	dir    string // where it is being written
	signer ed25519.PrivateKey
}

// Create begins a pack at a path that must not exist: a directory, or a file that ends in .tar.zst. A key signs
// it; nil: it is not signed.
func Create(out string, m Manifest, key ed25519.PrivateKey) (*Writer, error) {
	out = filepath.Clean(out)
	if _, err := os.Lstat(out); err == nil {
		return nil, fmt.Errorf("%s is there already: name another place, evidence is not written over", out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make the pack: %w", err)
	}
	m.Format, m.Missing, m.Withheld = format, append([]Missing{}, m.Missing...), append([]Withheld{}, m.Withheld...)
	if key != nil {
		public, ok := key.Public().(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("the private key has no public one")
		}
		var err error
		if m.SigningKey, err = Fingerprint(public); err != nil {
			return nil, err
		}
	}
	// In the same directory, so that a rename is all that is left to do.
	dir, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return nil, fmt.Errorf("make the pack: %w", err)
	}
	return &Writer{Manifest: m, out: out, dir: dir, signer: key}, nil
}

// Abort removes what was written of a pack that was not finished; after Finish it does nothing.
func (w *Writer) Abort() error {
	if w.dir == "" {
		return nil
	}
	err := os.RemoveAll(w.dir)
	w.dir = ""
	return err
}

// CSV is a file of rows.
type CSV struct {
	Path  string
	Of    Of
	About string
}

// Written is what its writer says of a file of rows; it must be what arrived.
type Written struct {
	Columns   []string
	Rows      int64
	SQLSHA256 string
}

// AddCSV writes a file of rows by a function, and counts and sums what passes. Where the function fails the
// pack is as before.
func (w *Writer) AddCSV(c CSV, write func(io.Writer) (Written, error)) (File, error) {
	records := &digest.Records{}
	var said Written
	f, err := w.add(c.Path, c.Of, c.About, func(to io.Writer) (err error) {
		said, err = write(io.MultiWriter(to, records))
		return err
	})
	if err != nil {
		return File{}, err
	}
	if header := strings.Join(said.Columns, ","); records.Count() != said.Rows || records.Header() != header {
		return File{}, fmt.Errorf("write %s: %d rows below %q arrived, %d below %q were sent", c.Path, records.Count(), records.Header(), said.Rows, header)
	}
	f.Columns, f.Rows, f.SQLSHA256 = said.Columns, &said.Rows, said.SQLSHA256
	w.Manifest.Files = append(w.Manifest.Files, f)
	w.Manifest.count()
	return f, nil
}

// AddText writes a file for the pack's readers.
func (w *Writer) AddText(path, about string, text []byte) error {
	f, err := w.add(path, OfPack, about, func(to io.Writer) error {
		_, err := to.Write(text)
		return err
	})
	if err == nil {
		w.Manifest.Files = append(w.Manifest.Files, f)
	}
	return err
}

func (w *Writer) add(path string, of Of, about string, write func(io.Writer) error) (_ File, err error) {
	if err := checkPath(path); err != nil {
		return File{}, err
	}
	full := filepath.Join(w.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return File{}, fmt.Errorf("write %s: %w", path, err)
	}
	file, err := os.OpenFile(full, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", path, err)
	}
	meter := digest.NewMeter(file)
	err = write(meter)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return File{}, errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(full))
	}
	return File{Path: path, Of: of, About: about, Bytes: meter.Bytes(), SHA256: meter.SHA256()}, nil
}

// Withhold notes a file that could not be written, and why.
func (w *Writer) Withhold(path, reason string) {
	w.Manifest.Withheld = append(w.Manifest.Withheld, Withheld{path, reason})
	w.Manifest.count()
}

// Finish writes the manifest, its signature and the sums, has the digest of the manifest recorded, and only
// then gives the pack its name: no pack is there that nobody knows of.
func (w *Writer) Finish(record func(m Manifest, manifestSHA256 string) error) (manifestSHA256 string, err error) {
	defer func() { err = errors.Join(err, w.Abort()) }()
	w.Manifest.count()
	if err := w.Manifest.check(); err != nil {
		return "", fmt.Errorf("finish the pack: %w", err)
	}
	text, err := json.MarshalIndent(w.Manifest, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the manifest: %w", err)
	}
	text = append(text, '\n')
	manifestSHA256 = digest.SHA256(text)
	own := map[string][]byte{ManifestFile: text, SumsFile: sums(w.Manifest, manifestSHA256)}
	if w.signer != nil {
		own[SignatureFile] = ed25519.Sign(w.signer, text)
	}
	for name, content := range own {
		if err := writeNew(filepath.Join(w.dir, name), 0o600, content); err != nil {
			return "", fmt.Errorf("write %s: %w", name, err)
		}
	}
	finished := w.dir
	if strings.HasSuffix(w.out, PackedSuffix) {
		if finished, err = w.pack(); err != nil {
			return "", fmt.Errorf("pack %s: %w", w.out, err)
		}
	}
	if err := record(w.Manifest, manifestSHA256); err != nil {
		return "", errors.Join(err, removeFile(finished, w.dir))
	}
	// Somebody may have made it meanwhile; a directory with files in it is not replaced, a file would be.
	if _, err := os.Lstat(w.out); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(fmt.Errorf("%s is there already", w.out), removeFile(finished, w.dir))
	}
	if err := os.Rename(finished, w.out); err != nil {
		return "", errors.Join(fmt.Errorf("finish the pack: %w", err), removeFile(finished, w.dir))
	}
	if finished == w.dir {
		w.dir = ""
	}
	return manifestSHA256, nil
}

// removeFile forgets a packed file that was not handed out.
func removeFile(path, dir string) error {
	if path == dir {
		return nil
	}
	return os.Remove(path)
}

// sums are the lines that sha256sum -c reads, of all files of the pack.
func sums(m Manifest, manifestSHA256 string) []byte {
	var out bytes.Buffer
	for _, f := range m.Files {
		fmt.Fprintf(&out, "%s  %s\n", f.SHA256, f.Path)
	}
	fmt.Fprintf(&out, "%s  %s\n", manifestSHA256, ManifestFile)
	return out.Bytes()
}

// pack writes the files into one, the manifest first, and returns its path.
func (w *Writer) pack() (path string, err error) {
	file, err := os.OpenFile(w.dir+PackedSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	buffer := bufio.NewWriterSize(file, 1<<16)
	compressor, err := zstd.NewWriter(buffer, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return "", err
	}
	archive := tar.NewWriter(compressor)
	names := []string{ManifestFile, SignatureFile, SumsFile}
	for _, f := range w.Manifest.Files {
		names = append(names, f.Path)
	}
	if w.signer == nil {
		names = slices.Delete(names, 1, 2)
	}
	// What it unpacks to has a name of its own.
	top := strings.TrimSuffix(filepath.Base(w.out), PackedSuffix)
	for _, name := range names {
		if err := packFile(archive, filepath.Join(w.dir, filepath.FromSlash(name)), top+"/"+name, w.Manifest.ExportedAt); err != nil {
			return "", err
		}
	}
	if err := errors.Join(archive.Close(), compressor.Close()); err != nil {
		return "", err
	}
	return file.Name(), errors.Join(buffer.Flush(), file.Sync())
}

func packFile(archive *tar.Writer, path, name string, at time.Time) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o600, ModTime: at.Truncate(time.Second), Format: tar.FormatPAX,
	}); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
