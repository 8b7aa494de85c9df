package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"onevault/digest"
)

// Damage is what of a file does not match its manifest.
type Damage struct {
	Path string
	What string // "SHA-256", "rows", ...
	Want string
	Got  string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s is damaged: its %s should be %s and is %s", d.Path, d.What, d.Want, d.Got)
}

// Archive is one that was verified.
type Archive struct {
	Manifest Manifest
	base     string
}

// Verify reads a whole archive back from disk and compares it with its manifest. The path is that of the
// manifest (.json) or of the rows (.csv.zst). What differs is a *Damage.
func Verify(path string) (Archive, error) {
	base, ok := nameOf(path)
	if !ok || strings.HasSuffix(base, ".keys") {
		return Archive{}, fmt.Errorf("%s is no archive: give its manifest (.json) or its rows (.csv.zst)", path)
	}
	m, err := readManifest(base + manifestSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		if _, missing := os.Stat(path); missing != nil {
			return Archive{}, fmt.Errorf("read the archive: %w", missing)
		}
		return Archive{}, fmt.Errorf("%s has no manifest %s beside it: it was never finished, or was taken away from it", path, base+manifestSuffix)
	}
	if err != nil {
		return Archive{}, err
	}
	a := Archive{m, base}
	for i := range m.Files {
		if err := a.verify(i); err != nil {
			return Archive{}, err
		}
	}
	return a, nil
}

// Verify reads the archive of a name back.
func (d Dir) Verify(name string) (Archive, error) {
	if !names.MatchString(name) {
		return Archive{}, fmt.Errorf("archive %q: not a name of the form table/partition", name)
	}
	return Verify(d.Path(name))
}

func readManifest(path string) (Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("read the manifest: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxManifest+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return Manifest{}, fmt.Errorf("read the manifest: %w", err)
	}
	if len(text) > maxManifest {
		return Manifest{}, fmt.Errorf("%s is no manifest: it is larger than %d MiB", path, maxManifest>>20)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("%s is no manifest: %w", path, err)
	}
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("%s is no manifest of an archive: %w", path, err)
	}
	return m, nil
}

func (a Archive) verify(i int) error {
	rows, err := a.Open(i)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, rows)
	return errors.Join(err, rows.Close())
}

// Open reads the CSV of a file again. The end of the stream is an error when what was read does not match
// the manifest, so that nobody takes half of it for the whole.
func (a Archive) Open(i int) (io.ReadCloser, error) {
	f := a.Manifest.Files[i]
	path := a.base + f.Suffix
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	r := &reader{file: file, path: path, want: f, onDisk: digest.NewMeter(nil), plain: digest.NewMeter(nil), rows: &digest.Records{}}
	r.decompressor, err = zstd.NewReader(io.TeeReader(file, r.onDisk), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return r, nil
}

const (
	// maxWindow is the memory that a compressed file may ask for; ours ask for 8 MiB.
	maxWindow = 32 << 20
	// maxManifest bounds a manifest, which is read into memory.
	maxManifest = 16 << 20
)

// reader counts and sums what passes.
type reader struct {
	file         *os.File
	path         string
	want         File
	decompressor *zstd.Decoder
	onDisk       *digest.Meter
	plain        *digest.Meter
	rows         *digest.Records
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.decompressor.Read(p)
	for _, w := range []io.Writer{r.plain, r.rows} {
		_, _ = w.Write(p[:n]) // into memory: cannot fail
	}
	if r.plain.Bytes() > r.want.CSVBytes { // a small file can hold terabytes
		return n, &Damage{r.path, "CSV's size in bytes", fmt.Sprint(r.want.CSVBytes), "more"}
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		if damage := r.compare(); damage != nil {
			return n, damage
		}
		return n, io.EOF
	}
	return n, r.broken(err)
}

// broken says which sum differs where the compression itself is broken already.
func (r *reader) broken(cause error) error {
	if _, err := io.Copy(io.Discard, io.TeeReader(r.file, r.onDisk)); err != nil {
		return fmt.Errorf("read %s: %w", r.path, err)
	}
	if damage := r.compareFile(); damage != nil {
		return damage
	}
	return fmt.Errorf("decompress %s: %w", r.path, cause)
}

func (r *reader) compareFile() error {
	if r.onDisk.Bytes() != r.want.Bytes {
		return &Damage{r.path, "size in bytes", fmt.Sprint(r.want.Bytes), fmt.Sprint(r.onDisk.Bytes())}
	}
	if r.onDisk.SHA256() != r.want.SHA256 {
		return &Damage{r.path, "SHA-256", r.want.SHA256, r.onDisk.SHA256()}
	}
	return nil
}

func (r *reader) compare() error {
	// What follows the last frame belongs to the file, too.
	if _, err := io.Copy(io.Discard, io.TeeReader(r.file, r.onDisk)); err != nil {
		return fmt.Errorf("read %s: %w", r.path, err)
	}
	if damage := r.compareFile(); damage != nil {
		return damage
	}
	names := make([]string, len(r.want.Columns))
	for i, c := range r.want.Columns {
		names[i] = c.Name
	}
	header := strings.Join(names, ",")
	switch {
	case r.plain.Bytes() != r.want.CSVBytes:
		return &Damage{r.path, "CSV's size in bytes", fmt.Sprint(r.want.CSVBytes), fmt.Sprint(r.plain.Bytes())}
	case r.plain.SHA256() != r.want.CSVSHA256:
		return &Damage{r.path, "CSV's SHA-256", r.want.CSVSHA256, r.plain.SHA256()}
	case r.rows.Count() != r.want.Rows:
		return &Damage{r.path, "number of rows", fmt.Sprint(r.want.Rows), fmt.Sprint(r.rows.Count())}
	case r.rows.Header() != header:
		return &Damage{r.path, "header", header, r.rows.Header()}
	}
	return nil
}

func (r *reader) Close() error {
	r.decompressor.Close()
	return r.file.Close()
}

// Name is how the archive is called in the vault: its table, and the file without extension.
func (a Archive) Name() string {
	return a.Manifest.Table + "/" + filepath.Base(a.base)
}
