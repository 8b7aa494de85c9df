// Package evidence writes packs of evidence for auditors and verifies them: files with a manifest of their
// hashes, as a directory or as one .tar.zst, signed on demand. What the files say comes from whoever calls it.
//
// It owns the pack: a pack that it wrote is whole, or is not there. It refuses to write over anything, it
// follows no path out of a pack, and it knows no database.
package evidence

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"onevault/digest"
)

// format is the version of the manifest's own shape.
const format = 1

// Names of the files that each pack has beside its data.
const (
	ManifestFile  = "manifest.json"
	SignatureFile = "manifest.json.sig"
	SumsFile      = "SHA256SUMS"
	ReadmeFile    = "README.txt"
	IndexFile     = "index.html"
)

// Manifest says what a pack holds and how to know that it is unharmed. Times are UTC.
type Manifest struct {
	Format     int       `json:"format"`
	Framework  string    `json:"framework"`
	Target     string    `json:"target,omitempty"` // empty: all targets
	From       time.Time `json:"period_from"`
	To         time.Time `json:"period_to"` // exclusive, and the moment whose knowledge the files of the period hold
	ExportedAt time.Time `json:"exported_at"`
	ExportedBy string    `json:"exported_by"` // by the word of the person's machine: cli:<user@host>
	OneVault   string    `json:"onevault"`
	Vault      Vault     `json:"vault"`
	// Complete: nothing is missing and nothing was withheld.
	Complete bool       `json:"complete"`
	Missing  []Missing  `json:"missing"`
	Withheld []Withheld `json:"withheld"`
	// SigningKey is the fingerprint of the public key, SHA-256 in hex of its DER; empty: the pack is not signed.
	SigningKey string `json:"signing_key,omitempty"`
	// ContentSHA256 is over the lines "<SHA-256>  <path>" of the files of the period, sorted: equal for each
	// pack of the same history.
	ContentSHA256 string `json:"content_sha256"`
	Rows          int64  `json:"rows"`
	Files         []File `json:"files"`
}

// Vault says where a pack was exported from, and as whom.
type Vault struct {
	SessionUser      string `json:"session_user"` // who logged in, by the database's word
	Role             string `json:"role"`
	Scope            string `json:"tenant_scope"`      // ALL, NONE (what belongs to no tenant only), or the hash keys of tenants
	SystemIdentifier string `json:"system_identifier"` // of the server's data directory
	Database         string `json:"database"`
	PostgreSQL       string `json:"postgresql"`
	MigratedFirst    string `json:"migrated_first"` // when its schema was made, in the server's time zone
	SchemaVersion    int64  `json:"schema_version"` // the newest migration
}

// Missing is an archive of rows of the period that the vault no longer held.
type Missing struct {
	Archive    string    `json:"archive"`
	Table      string    `json:"table"`
	From       time.Time `json:"range_from"`
	To         time.Time `json:"range_to"`
	Rows       int64     `json:"rows"`
	Certain    bool      `json:"certain"`  // false: its rows ended after the period, and may have begun in it
	Archived   bool      `json:"archived"` // false: a setting had them leave without an archive
	Host       string    `json:"host,omitempty"`
	File       string    `json:"file,omitempty"`
	FileSHA256 string    `json:"file_sha256,omitempty"`
	CSVSHA256  string    `json:"csv_sha256,omitempty"`
}

// Of says what a file tells of.
type Of string

const (
	// OfPeriod: the same history gives the same bytes, whenever it is exported.
	OfPeriod Of = "PERIOD"
	// OfVault: the vault as it was at the export.
	OfVault Of = "VAULT"
	// OfPack: for its readers.
	OfPack Of = "PACK"
)

// File is one file of a pack.
type File struct {
	Path    string   `json:"path"`
	Of      Of       `json:"of"`
	About   string   `json:"about"`
	Columns []string `json:"columns,omitempty"`
	Rows    *int64   `json:"rows,omitempty"` // of a CSV, its header left out
	Bytes   int64    `json:"bytes"`
	SHA256  string   `json:"sha256"`
	// SQLSHA256 is of the statement that the rows were read with.
	SQLSHA256 string `json:"sql_sha256,omitempty"`
}

// Withheld is a file that the exporting role might not read.
type Withheld struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// count fills in what follows from the files.
func (m *Manifest) count() {
	m.Rows = 0
	var lines []string
	for _, f := range m.Files {
		if f.Rows != nil {
			m.Rows += *f.Rows
		}
		if f.Of == OfPeriod {
			lines = append(lines, f.SHA256+"  "+f.Path+"\n")
		}
	}
	m.ContentSHA256 = contentSHA256(lines)
	m.Complete = len(m.Missing) == 0 && len(m.Withheld) == 0
}

func contentSHA256(lines []string) string {
	slices.Sort(lines)
	return digest.SHA256([]byte(strings.Join(lines, "")))
}

// paths are those that a pack may have: no path leads out of it, and none needs quoting anywhere.
var paths = regexp.MustCompile(`^([a-z0-9_]{1,40}/)?[A-Za-z0-9_.]{1,60}$`)

func checkPath(name string) error {
	if !paths.MatchString(name) || path.Clean(name) != name || strings.HasPrefix(path.Base(name), ".") {
		return fmt.Errorf("%q is no path of a pack", name)
	}
	return nil
}

// check finds what a manifest from somewhere could not be right about.
func (m Manifest) check() error {
	if m.Format != format {
		return fmt.Errorf("its format is %d, this onevault knows %d: use a newer one", m.Format, format)
	}
	if !m.From.Before(m.To) {
		return fmt.Errorf("its period is from %s to %s", m.From.Format(time.RFC3339), m.To.Format(time.RFC3339))
	}
	seen := map[string]bool{ManifestFile: true, SignatureFile: true, SumsFile: true}
	for _, f := range m.Files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("it names %s twice", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}
