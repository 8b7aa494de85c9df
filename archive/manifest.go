// Package archive writes rows that are about to leave the vault to disk, and reads them back: each table
// as ordered CSV, compressed with zstd, and beside them one manifest with counts and SHA-256 sums. The
// manifest comes last, so what has one is whole.
//
// It owns the files below one directory. It knows no database: rows come from and go to whoever calls it.
// It never overwrites an archive with other rows, and it hands out no row of a file that does not match
// its manifest.
package archive

import (
	"fmt"
	"regexp"
	"time"
)

// format is the version of the manifest's own shape.
const format = 1

// Manifest says what an archive holds and how to know that it is unharmed. Times are UTC.
type Manifest struct {
	Format     int       `json:"format"`
	Table      string    `json:"table"`
	Partition  string    `json:"partition,omitempty"` // empty: closed versions of a state satellite
	From       time.Time `json:"from"`                // of the partition's column, or of load_end_date
	To         time.Time `json:"to"`                  // exclusive
	Rows       int64     `json:"rows"`
	Digest     string    `json:"digest"` // of the rows by the vault, which compares it before it drops them
	Database   string    `json:"database"`
	PostgreSQL string    `json:"postgresql"`
	OneVault   string    `json:"onevault"`
	Host       string    `json:"host"`
	TakenAt    time.Time `json:"taken_at"`
	// Files are in the order in which they can be restored: the keys that the rows refer to, the rows last.
	Files []File `json:"files"`
}

// File is one table of an archive.
type File struct {
	Suffix    string   `json:"suffix"` // what follows the archive's name in that of the file
	Schema    string   `json:"schema"`
	Table     string   `json:"table"`
	Columns   []Column `json:"columns"`
	Rows      int64    `json:"rows"`
	CSVBytes  int64    `json:"csv_bytes"`
	CSVSHA256 string   `json:"csv_sha256"` // of the CSV, its header included
	Bytes     int64    `json:"bytes"`
	SHA256    string   `json:"sha256"` // of the file as it lies on disk
}

// Column is a column of a CSV, with its type in PostgreSQL.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// RowsFile is the file with the rows themselves.
func (m Manifest) RowsFile() File { return m.Files[len(m.Files)-1] }

// Bytes is the size of all files on disk.
func (m Manifest) Bytes() int64 {
	var sum int64
	for _, f := range m.Files {
		sum += f.Bytes
	}
	return sum
}

// sameRows reports whether two archives hold the same, whenever they were taken.
func (m Manifest) sameRows(other Manifest) bool {
	if len(m.Files) == 0 || len(other.Files) == 0 {
		return false
	}
	return m.Table == other.Table && m.From.Equal(other.From) && m.To.Equal(other.To) &&
		m.RowsFile().CSVSHA256 == other.RowsFile().CSVSHA256
}

// names are those that an archive may have: no path leads out of the directory.
var names = regexp.MustCompile(`^[a-z0-9_]{1,63}/[a-z0-9_]{1,80}(\.[0-9]{1,5})?$`)

// allowedSuffixes are those that a manifest may name.
var allowedSuffixes = regexp.MustCompile(`^(\.[a-z0-9_]{1,63}\.[a-z0-9_]{1,63}\.keys)?\.csv\.zst$`)

const (
	rowsSuffix     = ".csv.zst"
	manifestSuffix = ".json"
)

// check finds what a manifest from somewhere could not be right about.
func (m Manifest) check() error {
	if m.Format != format {
		return fmt.Errorf("its format is %d, this onevault knows %d: use a newer one", m.Format, format)
	}
	if len(m.Files) == 0 {
		return fmt.Errorf("it names no file")
	}
	for i, f := range m.Files {
		rows := i == len(m.Files)-1
		switch {
		case !allowedSuffixes.MatchString(f.Suffix), rows != (f.Suffix == rowsSuffix):
			return fmt.Errorf("its file %d is %q: not a name that an archive gives", i+1, f.Suffix)
		case len(f.Columns) == 0:
			return fmt.Errorf("its file %s has no columns", f.Suffix)
		case rows && (f.Rows != m.Rows || f.Table != m.Table || f.Schema != "monitoring"):
			return fmt.Errorf("it speaks of %d rows of monitoring.%s, its file of %d of %s.%s", m.Rows, m.Table, f.Rows, f.Schema, f.Table)
		}
	}
	return nil
}
