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

// Source is a table on its way into an archive.
type Source struct {
	Schema  string
	Table   string
	Columns []Column
	// Copy writes the rows as CSV with a header, ordered, and returns how many they were.
	Copy func(io.Writer) (int64, error)
}

// Dir is the directory that archives lie in.
type Dir struct{ path string }

// NewDir is the directory at a path; it is made with the first archive.
func NewDir(path string) Dir { return Dir{path} }

// Path is where the archive of a name has its rows.
func (d Dir) Path(name string) string {
	return filepath.Join(d.path, filepath.FromSlash(name)) + rowsSuffix
}

// Write makes the archive of a name: its files first, all synced, its manifest last. Whatever a writer
// that was killed left of it is replaced. A whole archive of that name with other rows is moved aside; one
// with the same rows, unharmed, stays and is what is returned. The manifest's counts, sums and files are filled in here.
func (d Dir) Write(name string, m Manifest, sources []Source) (Manifest, error) {
	if !names.MatchString(name) {
		return Manifest{}, fmt.Errorf("archive %q: not a name of the form table/partition", name)
	}
	base := filepath.Join(d.path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(base), 0o750); err != nil {
		return Manifest{}, fmt.Errorf("make the directory of archives: %w", err)
	}
	if err := removeLeftovers(base); err != nil {
		return Manifest{}, err
	}
	m.Format, m.Files = format, nil
	for i, source := range sources {
		suffix := "." + source.Schema + "." + source.Table + ".keys" + rowsSuffix
		if i == len(sources)-1 {
			suffix = rowsSuffix
		}
		file, err := writeFile(base+suffix+unfinished, source)
		if err != nil {
			return Manifest{}, fmt.Errorf("write %s: %w", base+suffix, err)
		}
		file.Suffix = suffix
		m.Files = append(m.Files, file)
	}
	m.Rows = m.RowsFile().Rows
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("archive %s: %w", name, err)
	}
	// A writer that was given up, and still lives, meets what its successor wrote and the vault relies on.
	if standing, err := Verify(base + manifestSuffix); err == nil && standing.Manifest.sameRows(m) && standing.Manifest.Digest == m.Digest {
		return standing.Manifest, removeLeftovers(base)
	}
	if err := moveAside(base, m); err != nil {
		return Manifest{}, err
	}
	if err := finish(base, m); err != nil {
		return Manifest{}, fmt.Errorf("finish %s: %w", base, err)
	}
	return m, nil
}

// unfinished marks the files of an archive that is being written.
const unfinished = ".tmp"

// removeLeftovers forgets what a killed writer had begun.
func removeLeftovers(base string) error {
	found, err := filepath.Glob(base + ".*" + unfinished)
	if err != nil {
		return fmt.Errorf("look for leftovers of %s: %w", base, err)
	}
	for _, path := range found {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a leftover: %w", err)
		}
	}
	return nil
}

func writeFile(path string, source Source) (_ File, err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	onDisk := digest.NewMeter(out)
	compressor, err := zstd.NewWriter(onDisk, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return File{}, err
	}
	plain := digest.NewMeter(compressor)
	rows := &digest.Records{}
	count, err := source.Copy(io.MultiWriter(plain, rows))
	if err != nil {
		return File{}, errors.Join(err, compressor.Close())
	}
	if err := compressor.Close(); err != nil {
		return File{}, err
	}
	if err := out.Sync(); err != nil {
		return File{}, err
	}
	if rows.Count() != count {
		return File{}, fmt.Errorf("the database sent %d rows and says %d", rows.Count(), count)
	}
	return File{
		Schema: source.Schema, Table: source.Table, Columns: source.Columns, Rows: count,
		CSVBytes: plain.Bytes(), CSVSHA256: plain.SHA256(), Bytes: onDisk.Bytes(), SHA256: onDisk.SHA256(),
	}, nil
}

// moveAside keeps a whole archive of the same name with other rows: they may be nowhere else, if the vault
// that dropped them was since restored from an older backup.
func moveAside(base string, coming Manifest) error {
	old, err := readManifest(base + manifestSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		old = Manifest{} // unreadable, so nothing can be said about its rows
	case old.sameRows(coming):
		return nil
	}
	var mark string
	for i := 1; ; i++ {
		mark = fmt.Sprintf("%s.replaced-%d", base, i)
		if _, err := os.Lstat(mark + manifestSuffix); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return fmt.Errorf("move an older archive aside: %w", err)
		}
	}
	// The manifest goes last: who dies before leaves it where the next writer finds it and goes on. Without
	// it the rows that are still here would pass for those of a writer that never finished.
	suffixes, err := suffixesOf(base, old)
	if err != nil {
		return err
	}
	for _, suffix := range append(suffixes, manifestSuffix) {
		if err := os.Rename(base+suffix, mark+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move an older archive aside: %w", err)
		}
	}
	return syncDir(filepath.Dir(base))
}

// suffixesOf lists the files of an archive, whose manifest may be unreadable.
func suffixesOf(base string, m Manifest) ([]string, error) {
	var suffixes []string
	for _, f := range m.Files {
		suffixes = append(suffixes, f.Suffix)
	}
	if len(suffixes) > 0 {
		return suffixes, nil
	}
	keys, err := filepath.Glob(base + ".*.keys" + rowsSuffix)
	if err != nil {
		return nil, fmt.Errorf("look for the files of %s: %w", base, err)
	}
	for _, path := range keys {
		if suffix := strings.TrimPrefix(path, base); allowedSuffixes.MatchString(suffix) {
			suffixes = append(suffixes, suffix)
		}
	}
	return append(suffixes, rowsSuffix), nil
}

// finish gives the files their names and writes the manifest, by which the archive exists.
func finish(base string, m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	// An older manifest would speak of other files for a moment.
	if err := os.Remove(base + manifestSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range m.Files {
		if err := os.Rename(base+f.Suffix+unfinished, base+f.Suffix); err != nil {
			return err
		}
	}
	if err := syncDir(filepath.Dir(base)); err != nil {
		return err
	}
	if err := writeSynced(base+manifestSuffix+unfinished, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(base+manifestSuffix+unfinished, base+manifestSuffix); err != nil {
		return err
	}
	return syncDir(filepath.Dir(base))
}

func writeSynced(path string, text []byte) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// syncDir makes renames in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// nameOf is the path of an archive without extension, from that of its manifest or of its rows.
func nameOf(path string) (string, bool) {
	for _, suffix := range []string{manifestSuffix, rowsSuffix} {
		if base, found := strings.CutSuffix(path, suffix); found {
			return base, true
		}
	}
	return "", false
}
