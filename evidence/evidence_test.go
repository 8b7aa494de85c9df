package evidence_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"onevault/evidence"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// write makes a pack of two files of rows, and returns the digest of its manifest.
func write(t *testing.T, out string, key ed25519.PrivateKey, rows string) string {
	t.Helper()
	w, err := evidence.Create(out, evidence.Manifest{Framework: "SOX", From: began, To: began.AddDate(0, 3, 0), ExportedAt: began.AddDate(0, 4, 0)}, key)
	if err != nil {
		t.Fatal(err)
	}
	add(t, w, "data/alerts.csv", evidence.OfPeriod, rows)
	add(t, w, "vault/roles.csv", evidence.OfVault, "boss,true\n")
	if err := w.AddText(evidence.ReadmeFile, "read me", evidence.Readme(w.Manifest)); err != nil {
		t.Fatal(err)
	}
	recorded := ""
	digest, err := w.Finish(func(_ evidence.Manifest, sum string) error {
		if _, err := os.Stat(out); err == nil {
			t.Error("the pack is there before it was recorded")
		}
		recorded = sum
		return nil
	})
	if err != nil || recorded != digest {
		t.Fatalf("digest %s, recorded %s, %v", digest, recorded, err)
	}
	return digest
}

func add(t *testing.T, w *evidence.Writer, path string, of evidence.Of, rows string) {
	t.Helper()
	_, err := w.AddCSV(evidence.CSV{Path: path, Of: of, About: "rows"}, func(to io.Writer) (evidence.Written, error) {
		_, err := io.WriteString(to, "name,yes\n"+rows)
		return evidence.Written{Columns: []string{"name", "yes"}, Rows: int64(strings.Count(rows, "\n")), SQLSHA256: "x"}, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// places are both forms of a pack.
func places(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	return []string{filepath.Join(dir, "pack"), filepath.Join(dir, "packed.tar.zst")}
}

func verified(t *testing.T, path string, key ed25519.PublicKey) evidence.Verification {
	t.Helper()
	v, err := evidence.Verify(path, key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPack_IsVerifiedInBothForms(t *testing.T) {
	t.Parallel()
	for _, out := range places(t) {
		digest := write(t, out, nil, "a,1\nb,2\n")
		v := verified(t, out, nil)
		if len(v.Problems) != 0 || v.ManifestSHA256 != digest || v.Manifest.Rows != 3 || v.Files != 5 || !v.Manifest.Complete {
			t.Errorf("%s: %+v", out, v)
		}
		if _, err := evidence.Create(out, evidence.Manifest{}, nil); err == nil || !strings.Contains(err.Error(), "there already") {
			t.Errorf("written over: %v", err)
		}
		if names := left(t, filepath.Dir(out)); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") }) {
			t.Errorf("left behind: %q", names)
		}
	}
}

// What the period holds is told apart from when it was exported.
func TestPack_OfTheSameHistoryHasTheSameContent(t *testing.T) {
	t.Parallel()
	both := places(t)
	write(t, both[0], nil, "a,1\n")
	write(t, both[1], nil, "a,1\n")
	other := filepath.Join(t.TempDir(), "other")
	write(t, other, nil, "a,2\n")
	one, two, three := verified(t, both[0], nil).Manifest, verified(t, both[1], nil).Manifest, verified(t, other, nil).Manifest
	if one.ContentSHA256 != two.ContentSHA256 || one.ContentSHA256 == three.ContentSHA256 {
		t.Errorf("contents %s, %s, %s", one.ContentSHA256, two.ContentSHA256, three.ContentSHA256)
	}
}

func TestVerify_NamesEachThingThatDiffers(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		harm  func(t *testing.T, dir string)
		words []string
	}{
		"a byte changed":     {func(t *testing.T, dir string) { change(t, dir, "data/alerts.csv", "a,1", "a,9") }, []string{"data/alerts.csv was changed: its SHA-256 should be "}},
		"a row taken away":   {func(t *testing.T, dir string) { change(t, dir, "data/alerts.csv", "b,2\n", "") }, []string{"data/alerts.csv was changed", "should have 2 rows and has 1", "should have 17 bytes and has 13"}},
		"a column renamed":   {func(t *testing.T, dir string) { change(t, dir, "data/alerts.csv", "name,yes", "name,no") }, []string{"should have the columns name,yes and has name,no"}},
		"a file missing":     {func(t *testing.T, dir string) { remove(t, dir, "vault/roles.csv") }, []string{"vault/roles.csv is missing"}},
		"a file more":        {func(t *testing.T, dir string) { put(t, dir, "data/more.csv", "x") }, []string{"data/more.csv does not belong to the pack"}},
		"a hidden file more": {func(t *testing.T, dir string) { put(t, dir, ".hidden", "x") }, []string{".hidden does not belong to the pack"}},
		"the sums missing":   {func(t *testing.T, dir string) { remove(t, dir, "SHA256SUMS") }, []string{"SHA256SUMS is missing"}},
		"another row count":  {func(t *testing.T, dir string) { change(t, dir, "manifest.json", `"rows": 2`, `"rows": 4`) }, []string{"should have 4 rows and has 2", "contradicts itself", "SHA256SUMS is not what follows"}},
		"another framework":  {func(t *testing.T, dir string) { change(t, dir, "manifest.json", `"SOX"`, `"HIPAA"`) }, []string{"SHA256SUMS is not what follows from the manifest"}},
		"passed for whole": {func(t *testing.T, dir string) {
			change(t, dir, "manifest.json", `"withheld": []`, `"withheld": [{"path": "x", "reason": "y"}]`)
		}, []string{"contradicts itself"}},
		"a signature from nowhere": {func(t *testing.T, dir string) { put(t, dir, "manifest.json.sig", "x") }, []string{"the manifest names no key"}},
		"a link in place of a file": {func(t *testing.T, dir string) {
			remove(t, dir, "data/alerts.csv")
			if err := os.Symlink("/etc/hostname", filepath.Join(dir, "data/alerts.csv")); err != nil {
				t.Fatal(err)
			}
		}, []string{"data/alerts.csv is no regular file", "data/alerts.csv is missing"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "pack")
			write(t, dir, nil, "a,1\nb,2\n")
			c.harm(t, dir)
			problems := strings.Join(verified(t, dir, nil).Problems, "\n")
			for _, word := range c.words {
				if !strings.Contains(problems, word) {
					t.Errorf("problems:\n%s\nwant %q", problems, word)
				}
			}
		})
	}
}

func TestVerify_RefusesWhatIsNoPack(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		harm func(t *testing.T, dir string)
		word string
	}{
		"no manifest":         {func(t *testing.T, dir string) { remove(t, dir, "manifest.json") }, "has no manifest.json"},
		"a manifest cut off":  {func(t *testing.T, dir string) { put(t, dir, "manifest.json", "{") }, "cannot be read"},
		"a format to come":    {func(t *testing.T, dir string) { change(t, dir, "manifest.json", `"format": 1`, `"format": 2`) }, "this onevault knows 1"},
		"a path to elsewhere": {func(t *testing.T, dir string) { change(t, dir, "manifest.json", "data/alerts.csv", "../../etc/passwd") }, "is no path of a pack"},
		"a file named twice":  {func(t *testing.T, dir string) { change(t, dir, "manifest.json", "vault/roles.csv", "data/alerts.csv") }, "names data/alerts.csv twice"},
		"a manifest too large": {func(t *testing.T, dir string) {
			put(t, dir, "manifest.json", strings.Repeat(" ", 17<<20))
		}, "larger than 16 MiB"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "pack")
			write(t, dir, nil, "a,1\n")
			c.harm(t, dir)
			if _, err := evidence.Verify(dir, nil); err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("%v, want %q", err, c.word)
			}
		})
	}
	if _, err := evidence.Verify(filepath.Join(t.TempDir(), "nowhere"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestVerify_FindsWhatWasDoneToAPackedOne(t *testing.T) {
	t.Parallel()
	out := places(t)[1]
	write(t, out, nil, "a,1\n")
	whole, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar.zst")
	if err := os.WriteFile(cut, whole[:len(whole)-40], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Verify(cut, nil); err == nil {
		t.Error("one that was cut off passes")
	}
	for title, extra := range map[string]tar.Header{
		"a path out of it":     {Name: "packed/../../x", Typeflag: tar.TypeReg},
		"another directory":    {Name: "other/x.csv", Typeflag: tar.TypeReg},
		"a link":               {Name: "packed/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"a file of its own":    {Name: "packed/data/more.csv", Typeflag: tar.TypeReg},
		"a file a second time": {Name: "packed/data/alerts.csv", Typeflag: tar.TypeReg},
	} {
		harmed := filepath.Join(t.TempDir(), "harmed.tar.zst")
		repack(t, out, harmed, extra)
		if problems := verified(t, harmed, nil).Problems; len(problems) != 1 || !strings.Contains(problems[0], "does not belong to the pack") {
			t.Errorf("%s: %q", title, problems)
		}
	}
}

// repack copies a packed pack and adds an entry.
func repack(t *testing.T, from, to string, extra tar.Header) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	reader, err := zstd.NewReader(source)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for in := tar.NewReader(reader); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(writer, in); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(writer.WriteHeader(&extra), writer.Close()); err != nil {
		t.Fatal(err)
	}
	compressor, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, compressor.EncodeAll(out.Bytes(), nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T) (path string, private ed25519.PrivateKey, public ed25519.PublicKey) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.key")
	fingerprint, err := evidence.NewKey(path, path+".pub")
	if err != nil {
		t.Fatal(err)
	}
	if private, err = evidence.ReadPrivateKey(path); err != nil {
		t.Fatal(err)
	}
	if public, err = evidence.ReadPublicKey(path + ".pub"); err != nil {
		t.Fatal(err)
	}
	if again, err := evidence.Fingerprint(public); err != nil || again != fingerprint {
		t.Errorf("fingerprints %s and %s, %v", fingerprint, again, err)
	}
	return path, private, public
}

func TestSignature_IsThatOfOneKeyForOneManifest(t *testing.T) {
	t.Parallel()
	path, private, public := keys(t)
	_, _, other := keys(t)
	for _, out := range places(t) {
		write(t, out, private, "a,1\n")
		if v := verified(t, out, public); !v.Signed || len(v.Problems) != 0 {
			t.Errorf("%s: %+v", out, v)
		}
		if v := verified(t, out, nil); v.Signed || len(v.Problems) != 0 {
			t.Errorf("without a key: %+v", v)
		}
		if v := verified(t, out, other); v.Signed || len(v.Problems) != 1 || !strings.Contains(v.Problems[0], "another key") {
			t.Errorf("with another key: %+v", v)
		}
	}
	signed := places(t)[0]
	write(t, signed, private, "a,1\n")
	// openssl says the same: a reader needs no OneVault.
	openssl := exec.CommandContext(t.Context(), "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", path+".pub", "-rawin",
		"-in", filepath.Join(signed, "manifest.json"), "-sigfile", filepath.Join(signed, "manifest.json.sig"))
	if _, err := exec.LookPath("openssl"); err == nil {
		if out, err := openssl.CombinedOutput(); err != nil {
			t.Errorf("openssl: %v: %s", err, out)
		}
	}
	change(t, signed, "manifest.json", `"SOX"`, `"SOY"`)
	if v := verified(t, signed, public); v.Signed || !strings.Contains(fmt.Sprint(v.Problems), "the signature is not that of key") {
		t.Errorf("another manifest: %+v", v)
	}
	unsigned := places(t)[0]
	write(t, unsigned, nil, "a,1\n")
	if v := verified(t, unsigned, public); !strings.Contains(fmt.Sprint(v.Problems), "is not signed") {
		t.Errorf("none: %+v", v)
	}
	stripped := places(t)[0]
	write(t, stripped, private, "a,1\n")
	remove(t, stripped, "manifest.json.sig")
	if v := verified(t, stripped, public); v.Signed || !strings.Contains(fmt.Sprint(v.Problems), "manifest.json.sig is missing") {
		t.Errorf("taken away: %+v", v)
	}
}

func TestKeys_AreKeptAndCheckedOnReading(t *testing.T) {
	t.Parallel()
	path, _, _ := keys(t)
	if _, err := evidence.NewKey(path, path+".pub2"); !errors.Is(err, os.ErrExist) {
		t.Errorf("written over: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.ReadPrivateKey(path); err == nil || !strings.Contains(err.Error(), "read by others") {
		t.Errorf("a key that everybody may read: %v", err)
	}
	if err := os.Chmod(path+".pub", 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.ReadPrivateKey(path + ".pub"); err == nil || !strings.Contains(err.Error(), "no PRIVATE KEY") {
		t.Errorf("the public one: %v", err)
	}
	if _, err := evidence.ReadPublicKey(path); err == nil || !strings.Contains(err.Error(), "no PUBLIC KEY") {
		t.Errorf("the private one: %v", err)
	}
}

func TestWriter_HandsOutNothingThatIsNotWhole(t *testing.T) {
	t.Parallel()
	for _, out := range places(t) {
		w, err := evidence.Create(out, evidence.Manifest{Framework: "SOX", From: began, To: began.AddDate(0, 1, 0)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddCSV(evidence.CSV{Path: "data/x.csv", Of: evidence.OfPeriod}, func(io.Writer) (evidence.Written, error) {
			return evidence.Written{}, errors.New("connection lost")
		}); err == nil {
			t.Error("an error is swallowed")
		}
		if _, err := w.AddCSV(evidence.CSV{Path: "data/y.csv", Of: evidence.OfPeriod}, func(to io.Writer) (evidence.Written, error) {
			_, err := io.WriteString(to, "a\n1\n")
			return evidence.Written{Columns: []string{"a"}, Rows: 2}, err
		}); err == nil || !strings.Contains(err.Error(), "1 rows") {
			t.Errorf("a count that is not what came: %v", err)
		}
		for _, path := range []string{"../x", "/x", "a/b/c", "x y", ".x", "a/.."} {
			if err := w.AddText(path, "", nil); err == nil {
				t.Errorf("%q was written", path)
			}
		}
		if _, err := w.Finish(func(evidence.Manifest, string) error { return errors.New("the vault is away") }); err == nil || !strings.Contains(err.Error(), "the vault is away") {
			t.Errorf("not recorded: %v", err)
		}
		if names := left(t, filepath.Dir(out)); len(names) != 0 {
			t.Errorf("left behind: %q", names)
		}
	}
}

func TestReadme_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	rows := int64(7)
	text := string(evidence.Readme(evidence.Manifest{
		Framework: "SOX", From: began, To: began.AddDate(0, 3, 0), SigningKey: "fingerprint", Missing: make([]evidence.Missing, 2),
		Files:    []evidence.File{{Path: "data/alerts.csv", About: "The alerts.", Columns: []string{"alert"}, Rows: &rows}},
		Withheld: []evidence.Withheld{{Path: "vault/archives.csv", Reason: "role x may not read it"}},
	}))
	for _, want := range []string{"data/alerts.csv\n    The alerts.\n    7 rows: alert", "vault/archives.csv is not in this pack", "the 2 archives that", "sha256sum --check SHA256SUMS", "openssl pkeyutl -verify", "fingerprint"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func change(t *testing.T, dir, name, from, to string) {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s is not in %s", from, text)
	}
	put(t, dir, name, strings.Replace(string(text), from, to, 1))
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
