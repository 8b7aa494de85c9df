package archive

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

const name = "samples_s/samples_s_p20260105"

// source is a table of one column.
func source(table, csv string, rows int64) Source {
	return Source{
		Schema: "monitoring", Table: table, Columns: []Column{{"a", "text"}, {"b", "integer"}},
		Copy: func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, "a,b\n"+csv)
			return rows, err
		},
	}
}

func header() Manifest {
	return Manifest{Table: "samples_s", From: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 12, 0, 0, 0, 0, time.UTC)}
}

// write makes an archive of two rows that refer to one key.
func write(t *testing.T, d Dir, csv string, rows int64) Manifest {
	t.Helper()
	m, err := d.Write(name, header(), []Source{source("samples_h", "key,1\n", 1), source("samples_s", csv, rows)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const twoRows = "\"line one\nline \"\"two\"\"\",1\n,2\n"

func TestWrite_IsReadBackAsItWas(t *testing.T) {
	t.Parallel()
	d := NewDir(filepath.Join(t.TempDir(), "deep", "archive"))
	written := write(t, d, twoRows, 2)
	found, err := d.Verify(name)
	if err != nil {
		t.Fatal(err)
	}
	if m := found.Manifest; m.Rows != 2 || len(m.Files) != 2 || m.RowsFile().SHA256 != written.RowsFile().SHA256 || found.Name() != name {
		t.Errorf("read back %s: %+v", found.Name(), m)
	}
	for i, want := range []string{"a,b\nkey,1\n", "a,b\n" + twoRows} {
		r, err := found.Open(i)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(text) != want {
			t.Errorf("file %d is %q, %v; want %q", i, text, err, want)
		}
	}
	// Any of its two names does.
	for _, suffix := range []string{".json", ".csv.zst"} {
		if _, err := Verify(strings.TrimSuffix(d.Path(name), ".csv.zst") + suffix); err != nil {
			t.Error(err)
		}
	}
	if again := write(t, d, twoRows, 2); again.RowsFile().SHA256 != written.RowsFile().SHA256 {
		t.Errorf("the same rows make another file: %+v, was %+v", again.RowsFile(), written.RowsFile())
	}
}

func TestWrite_NeverOverwritesOtherRows(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	for _, csv := range []string{"x,1\n", "y,1\n", "z,1\n"} {
		write(t, d, csv, 1)
	}
	base := strings.TrimSuffix(d.Path(name), ".csv.zst")
	for suffix, want := range map[string]string{".replaced-1": "x,1", ".replaced-2": "y,1", "": "z,1"} {
		found, err := Verify(base + suffix + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r, err := found.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%q holds %q, %v; want %s", suffix, text, err, want)
		}
	}
}

// A writer that dies while it moves an older archive aside leaves it so that the next one goes on.
func TestWrite_LosesNoOlderRowsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	write(t, d, "old,1\n", 1)
	base := strings.TrimSuffix(d.Path(name), ".csv.zst")
	inTheWay := base + ".replaced-1.csv.zst"
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(name, header(), []Source{source("samples_h", "key,1\n", 1), source("samples_s", "new,1\n", 1)}); err == nil {
		t.Fatal("nothing was in the way")
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	write(t, d, "new,1\n", 1)
	for suffix, want := range map[string]string{".replaced-1": "old,1", "": "new,1"} {
		wantRows(t, base+suffix, want)
	}
}

// Temporal gives an activity up that it hears nothing of; on its host it may still be at work.
func TestWrite_ByOneThatWasGivenUpHarmsNothing(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	slow := source("samples_s", twoRows, 2)
	slow.Copy = func(w io.Writer) (int64, error) {
		write(t, d, twoRows, 2) // its successor begins and ends meanwhile
		_, err := io.WriteString(w, "a,b\n"+twoRows)
		return 2, err
	}
	if _, err := d.Write(name, header(), []Source{source("samples_h", "key,1\n", 1), slow}); err != nil {
		t.Errorf("it fails: %v", err)
	}
	if _, err := d.Verify(name); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(d.Path("*/*") + "*.tmp"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Of an archive whose manifest can no longer be read everything is kept, its keys as well.
func TestWrite_KeepsTheFilesOfAnUnreadableManifest(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	write(t, d, "old,1\n", 1)
	base := strings.TrimSuffix(d.Path(name), ".csv.zst")
	manifest, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	change(t, base+".json", func(b []byte) []byte { return b[:40] })
	write(t, d, "new,1\n", 1)
	change(t, base+".replaced-1.json", func([]byte) []byte { return manifest })
	wantRows(t, base+".replaced-1", "old,1")
}

func wantRows(t *testing.T, base, want string) {
	t.Helper()
	found, err := Verify(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := found.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s holds %q, %v; want %s", base, text, err, want)
	}
}

// What grows far beyond what its manifest says is given up at once, and nothing asks for much memory.
func TestVerify_GivesUpWhatGrowsWithoutEnd(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	write(t, d, twoRows, 2)
	path := d.Path(name)
	bomb := func(options ...zstd.EOption) int64 {
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := zstd.NewWriter(file, options...)
		if err != nil {
			t.Fatal(err)
		}
		zeros := make([]byte, 1<<20)
		for range 256 {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
		found, err := readManifest(strings.TrimSuffix(path, ".csv.zst") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Archive{Manifest: found, base: strings.TrimSuffix(path, ".csv.zst")}.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n, err := io.Copy(io.Discard, r)
		if err == nil {
			t.Error("a bomb passed")
		}
		return n
	}
	if n := bomb(); n > 1<<20 {
		t.Errorf("%d bytes were read of %d that the manifest names", n, len(twoRows))
	}
	if n := bomb(zstd.WithWindowSize(256 << 20)); n != 0 {
		t.Errorf("%d bytes were read through a window of 256 MiB", n)
	}
	change(t, strings.TrimSuffix(path, ".csv.zst")+".json", func(b []byte) []byte { return append(b, make([]byte, maxManifest)...) })
	_, err := Verify(path)
	wantError(t, err, "larger than 16 MiB")
}

func TestWrite_RefusesACountThatIsNotWhatCame(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	_, err := d.Write(name, header(), []Source{source("samples_s", twoRows, 3)})
	wantError(t, err, "sent 2 rows and says 3")
	if _, err := d.Verify(name); err == nil {
		t.Error("what failed counts as an archive")
	}
	broken := source("samples_s", "", 0)
	broken.Copy = func(io.Writer) (int64, error) { return 0, errors.New("connection lost") }
	_, err = d.Write(name, header(), []Source{broken})
	wantError(t, err, "connection lost")
}

func TestWrite_StaysInItsDirectory(t *testing.T) {
	t.Parallel()
	d := NewDir(t.TempDir())
	for _, bad := range []string{"../x/y", "x", "x/../../y", "/etc/passwd", "x/y/z", "X/Y", ""} {
		if _, err := d.Write(bad, header(), []Source{source("samples_s", "", 0)}); err == nil {
			t.Errorf("%q was written", bad)
		}
	}
}

func TestVerify_NamesWhatDiffers(t *testing.T) {
	t.Parallel()
	type files struct{ rows, keys, manifest string }
	for title, c := range map[string]struct {
		harm func(t *testing.T, f files)
		word string
	}{
		"a bit of the rows":   {func(t *testing.T, f files) { flip(t, f.rows) }, "samples_s_p20260105.csv.zst is damaged: its SHA-256 should be"},
		"a bit of the keys":   {func(t *testing.T, f files) { flip(t, f.keys) }, "samples_h.keys.csv.zst is damaged: its SHA-256"},
		"an end cut off":      {func(t *testing.T, f files) { change(t, f.rows, func(b []byte) []byte { return b[:len(b)-3] }) }, "size in bytes"},
		"rows taken away":     {func(t *testing.T, f files) { remove(t, f.rows) }, "no such file"},
		"a manifest lost":     {func(t *testing.T, f files) { remove(t, f.manifest) }, "has no manifest"},
		"a manifest cut off":  {func(t *testing.T, f files) { change(t, f.manifest, func(b []byte) []byte { return b[:40] }) }, "is no manifest"},
		"another row count":   {func(t *testing.T, f files) { replace(t, f.manifest, `"rows": 2`, `"rows": 3`) }, "number of rows should be 3 and is 2"},
		"another column":      {func(t *testing.T, f files) { replace(t, f.manifest, `"name": "b"`, `"name": "c"`) }, "header should be a,c and is a,b"},
		"a path to elsewhere": {func(t *testing.T, f files) { replace(t, f.manifest, `".csv.zst"`, `"/../x.csv.zst"`) }, "not a name that an archive gives"},
		"a format to come":    {func(t *testing.T, f files) { replace(t, f.manifest, `"format": 1`, `"format": 2`) }, "this onevault knows 1"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			d := NewDir(t.TempDir())
			write(t, d, twoRows, 2)
			base := strings.TrimSuffix(d.Path(name), ".csv.zst")
			c.harm(t, files{base + ".csv.zst", base + ".monitoring.samples_h.keys.csv.zst", base + ".json"})
			_, err := Verify(base + ".csv.zst")
			wantError(t, err, c.word)
		})
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	change(t, path, func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
}

func replace(t *testing.T, path, from, to string) {
	t.Helper()
	change(t, path, func(b []byte) []byte {
		if !strings.Contains(string(b), from) {
			t.Fatalf("%s is not in %s", from, b)
		}
		return []byte(strings.ReplaceAll(string(b), from, to))
	})
}

func change(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, how(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, word string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v, want an error that says %q", err, word)
	}
}
