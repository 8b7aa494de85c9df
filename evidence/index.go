package evidence

import (
	"fmt"
	"strconv"
	"time"

	"onevault/report"
)

// Index is the pack in words: what it is and whether it is whole, what the caller has to tell of the period
// and of the vault, and its files.
func Index(m Manifest, told []report.Section) report.Document {
	d := report.Document{
		Title:  "Evidence: " + m.Framework + ", " + m.target(),
		Period: moment(m.From) + " to " + moment(m.To) + " UTC, the end excluded",
	}
	d.Sections = append(d.Sections, m.identity(), m.completeness())
	d.Sections = append(d.Sections, told...)
	d.Sections = append(d.Sections, m.files(), verifying(m))
	return d
}

func (m Manifest) target() string {
	if m.Target == "" {
		return "all targets"
	}
	return "target " + m.Target
}

func moment(t time.Time) string {
	return t.UTC().Format("2006-01-02 15:04")
}

// scope says whose rows the exporting role could see.
func (m Manifest) scope() string {
	switch m.Vault.Scope {
	case "ALL":
		return "all tenants"
	case "NONE":
		return "what belongs to no tenant; the role may read no tenant"
	}
	return "these tenants, and what belongs to none: " + m.Vault.Scope
}

func (m Manifest) identity() report.Section {
	signed := "no"
	if m.SigningKey != "" {
		signed = "with key " + m.SigningKey
	}
	return report.Section{ID: "pack", Title: "What this is", Tables: []report.Table{{
		Columns: []report.Column{{Name: ""}, {Name: "", Long: true}},
		Rows: [][]report.Cell{
			{{Text: "Framework"}, {Text: m.Framework}},
			{{Text: "Target"}, {Text: m.target()}},
			{{Text: "Tells of"}, {Text: m.scope()}},
			{{Text: "Exported"}, {Text: moment(m.ExportedAt) + " UTC by role " + m.Vault.SessionUser + ", " + m.ExportedBy}},
			{{Text: "Vault"}, {Text: fmt.Sprintf("database %s of the server %s, made %s", m.Vault.Database, m.Vault.SystemIdentifier, m.Vault.MigratedFirst)}},
			{{Text: "Versions"}, {Text: fmt.Sprintf("OneVault %s, schema %d, PostgreSQL %s", m.OneVault, m.Vault.SchemaVersion, m.Vault.PostgreSQL)}},
			{{Text: "Signed"}, {Text: signed}},
			{{Text: "Content"}, {Text: "SHA-256 " + m.ContentSHA256}},
		},
	}}, Notes: []string{
		"The tables below show what the files of this pack hold; the files are the evidence. All of it is what the vault knew at the end of the period, but for what is told of the vault itself, which is as it was at the export.",
		"OneVault sees what a database server can show. This is a part of an auditor's evidence and not their judgement.",
	}}
}

func (m Manifest) completeness() report.Section {
	s := report.Section{ID: "completeness", Title: "Whether it is complete"}
	if m.Complete {
		s.Facts = []report.Fact{{Label: "Completeness", Value: "nothing of the period had left the vault", Tone: report.Good}}
		return s
	}
	s.Facts = []report.Fact{{Label: "Completeness", Value: "this pack is not complete", Tone: report.Bad}}
	if len(m.Missing) > 0 {
		t := report.Table{
			Title: "Rows that had left the vault",
			Columns: []report.Column{
				{Name: "TABLE"}, {Name: "FROM"}, {Name: "TO"}, {Name: "ROWS", Right: true}, {Name: "OF THE PERIOD"}, {Name: "ARCHIVE", Long: true}, {Name: "SHA-256 OF THE FILE", Long: true},
			},
		}
		for _, x := range m.Missing {
			where := report.Cell{Text: x.Host + ":" + x.File}
			if !x.Archived {
				where = report.Cell{Text: "none: a setting had the rows leave without one", Tone: report.Bad}
			}
			certain := "some"
			if !x.Certain {
				certain = "perhaps"
			}
			t.Rows = append(t.Rows, []report.Cell{
				{Text: x.Table}, {Text: moment(x.From)}, {Text: moment(x.To)}, {Text: strconv.FormatInt(x.Rows, 10)}, {Text: certain}, where, {Text: x.FileSHA256},
			})
		}
		s.Tables = append(s.Tables, t)
		s.Notes = append(s.Notes, "`onevault vault restore FILE` brings the rows of an archive back; a pack that is exported then holds them.")
	}
	if len(m.Withheld) > 0 {
		t := report.Table{Title: "What the exporting role might not read", Columns: []report.Column{{Name: "FILE"}, {Name: "WHY", Long: true}}}
		for _, w := range m.Withheld {
			t.Rows = append(t.Rows, []report.Cell{{Text: w.Path}, {Text: w.Reason}})
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

func (m Manifest) files() report.Section {
	t := report.Table{Columns: []report.Column{{Name: "FILE"}, {Name: "WHAT IT IS", Long: true}, {Name: "SHA-256", Long: true}, {Name: "ROWS", Right: true}}}
	for _, f := range m.Files {
		rows := "-"
		if f.Rows != nil {
			rows = strconv.FormatInt(*f.Rows, 10)
		}
		t.Rows = append(t.Rows, []report.Cell{{Text: f.Path}, {Text: f.About}, {Text: f.SHA256, Code: true}, {Text: rows}})
	}
	return report.Section{ID: "files", Title: "The files", Tables: []report.Table{t}}
}

func verifying(m Manifest) report.Section {
	notes := []string{
		"sha256sum --check SHA256SUMS finds each file that was changed or is missing; the digest of manifest.json must be the one that was told at the export and that the vault recorded. README.txt says it in full.",
		"onevault evidence verify also finds additional files and counts the rows; with --against-vault it asks whether the vault still says the same.",
	}
	if m.SigningKey != "" {
		notes = append(notes, "The signature proves that the holder of the key vouched for exactly these files. It does not prove when, nor that what was recorded is true.")
	}
	return report.Section{ID: "verify", Title: "How to verify", Notes: notes}
}
