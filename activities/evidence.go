package activities

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"onevault/collect"
	"onevault/digest"
	"onevault/evidence"
	"onevault/report"
	"onevault/vault"
)

// ExportEvidenceInput says what to export, where to, and who asked.
type ExportEvidenceInput struct {
	Period   vault.EvidencePeriod
	Out      string             // a directory or a .tar.zst, that is not there yet
	Key      ed25519.PrivateKey // nil: not signed
	Via      string             // cli:<user@host>
	OneVault string             // the program's version
	// Progress hears of each file as it grows; finished: it is whole.
	Progress func(path string, rows int64, finished bool)
}

// ExportedEvidence is a pack that was handed out.
type ExportedEvidence struct {
	Manifest       evidence.Manifest
	ManifestSHA256 string
}

// PeriodError says why there is no pack of a period.
type PeriodError struct{ Reason string }

func (e *PeriodError) Error() string { return e.Reason }

// ExportEvidence writes a pack of evidence from one view of the vault, and records that it did. The export is
// in the vault before the pack has its name.
func ExportEvidence(ctx context.Context, store *vault.Store, in ExportEvidenceInput) (out ExportedEvidence, err error) {
	files, err := vault.EvidenceFiles()
	if err != nil {
		return out, err
	}
	var w *evidence.Writer
	err = store.Evidence(ctx, in.Period, func(view vault.EvidenceView) (err error) {
		if in.Period.To.After(view.Now) {
			return &PeriodError{fmt.Sprintf("the period ends at %s, and it is %s: what is yet to be recorded would be missing",
				in.Period.To.UTC().Format(time.RFC3339), view.Now.Format(time.RFC3339))}
		}
		w, err = evidence.Create(in.Out, evidence.Manifest{
			Framework: in.Period.Framework, Target: in.Period.Target, From: in.Period.From.UTC(), To: in.Period.To.UTC(),
			ExportedAt: view.Now, ExportedBy: in.Via, OneVault: in.OneVault, Vault: evidence.Vault(view.Vault),
		}, in.Key)
		if err != nil {
			return err
		}
		return writeEvidence(ctx, view, w, files, in.Progress)
	})
	if err != nil {
		if w != nil {
			err = errors.Join(err, w.Abort())
		}
		return out, err
	}
	out.ManifestSHA256, err = w.Finish(func(m evidence.Manifest, manifestSHA256 string) error {
		return store.RecordEvidenceExport(ctx, vault.EvidenceExport{
			Period: in.Period, At: m.ExportedAt, Via: in.Via, Scope: m.Vault.Scope, ManifestSHA256: manifestSHA256,
			ContentSHA256: m.ContentSHA256, Files: len(m.Files), Rows: m.Rows, Complete: m.Complete, SigningKey: m.SigningKey, Version: in.OneVault,
		})
	})
	out.Manifest = w.Manifest
	return out, err
}

// writeEvidence writes the files of rows, the index and the README.
func writeEvidence(ctx context.Context, view vault.EvidenceView, w *evidence.Writer, files []vault.EvidenceFile, progress func(string, int64, bool)) error {
	missing, err := view.Missing(ctx)
	var withheld *vault.WithheldError
	switch {
	case errors.As(err, &withheld):
		w.Withhold("missing rows", "whether rows of the period have left the vault is not known: "+withheld.Reason)
	case err != nil:
		return fmt.Errorf("look for rows that have left the vault: %w", err)
	}
	for _, m := range missing {
		w.Manifest.Missing = append(w.Manifest.Missing, evidence.Missing(m))
	}
	for _, f := range files {
		written, err := w.AddCSV(csvOf(f), func(to io.Writer) (evidence.Written, error) {
			rows, err := view.Copy(ctx, f, to, func(n int64) { progress(f.Path, n, false) })
			return evidence.Written(rows), err
		})
		if errors.As(err, &withheld) {
			w.Withhold(f.Path, withheld.Reason)
			continue
		}
		if err != nil {
			return err
		}
		progress(f.Path, *written.Rows, true)
	}
	tables, err := view.Index(ctx)
	if err != nil {
		return err
	}
	page, err := evidence.Index(w.Manifest, evidenceSections(tables)).HTML()
	if err != nil {
		return err
	}
	if err := w.AddText(evidence.IndexFile, "The pack for people: it needs no network and prints well.", []byte(page)); err != nil {
		return err
	}
	return w.AddText(evidence.ReadmeFile, "What each file is, and how to verify the pack without OneVault.", evidence.Readme(w.Manifest))
}

func csvOf(f vault.EvidenceFile) evidence.CSV {
	c := evidence.CSV{Path: f.Path, About: f.About, Of: evidence.OfVault}
	if f.OfPeriod {
		c.Of = evidence.OfPeriod
	}
	return c
}

// evidenceTitles are the sections of a pack's index, in their order.
var evidenceTitles = [][2]string{
	{"controls", "Controls"},
	{"alerts", "Alerts and who was told"},
	{"incidents", "Incidents"},
	{"security", "Security events"},
	{"coverage", "Whether anybody looked"},
	{"changes", "Changes of what is watched and who is told"},
	{"vault", "The vault itself"},
}

func evidenceSections(tables []vault.EvidenceTable) []report.Section {
	var sections []report.Section
	for _, title := range evidenceTitles {
		s := report.Section{ID: title[0], Title: title[1]}
		for _, t := range tables {
			if t.Section == s.ID {
				s.Tables = append(s.Tables, t.Table)
			}
		}
		sections = append(sections, s)
	}
	return sections
}

// CompareEvidence asks whether the vault still says what the files of the period in a pack say, and whether it
// knows of the export. What differs is told in words.
func CompareEvidence(ctx context.Context, store *vault.Store, m evidence.Manifest, manifestSHA256 string) (same int, problems []string, err error) {
	files, err := vault.EvidenceFiles()
	if err != nil {
		return 0, nil, err
	}
	period := vault.EvidencePeriod{Framework: m.Framework, Target: m.Target, From: m.From, To: m.To}
	err = store.Evidence(ctx, period, func(view vault.EvidenceView) error {
		if view.Vault.SystemIdentifier != m.Vault.SystemIdentifier {
			problems = append(problems, fmt.Sprintf("this is another server: the pack is of %s, this is %s", m.Vault.SystemIdentifier, view.Vault.SystemIdentifier))
		}
		if view.Vault.Scope != m.Vault.Scope {
			return &PeriodError{fmt.Sprintf("the pack tells of the tenants %s, and role %s sees %s: nothing can be compared", m.Vault.Scope, view.Vault.Role, view.Vault.Scope)}
		}
		left, err := leftSince(ctx, view, m)
		if err != nil {
			return err
		}
		problems = append(problems, left...)
		for _, want := range m.Files {
			if want.Of != evidence.OfPeriod {
				continue
			}
			problem, err := compareFile(ctx, view, files, want)
			if err != nil {
				return err
			}
			if problem != "" {
				problems = append(problems, problem)
				continue
			}
			same++
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	_, _, err = store.EvidenceExported(ctx, manifestSHA256)
	var withheld *vault.WithheldError
	switch {
	case errors.Is(err, vault.ErrNotFound):
		problems = append(problems, "the vault knows of no export with the manifest "+manifestSHA256+": it was made elsewhere, or changed")
	case errors.As(err, &withheld):
		problems = append(problems, "whether the export was recorded is not known: "+withheld.Reason)
	case err != nil:
		return 0, nil, err
	}
	return same, problems, nil
}

// leftSince lists the archives of rows of the period that left the vault since the export.
func leftSince(ctx context.Context, view vault.EvidenceView, m evidence.Manifest) ([]string, error) {
	now, err := view.Missing(ctx)
	var withheld *vault.WithheldError
	if errors.As(err, &withheld) {
		return nil, nil // it was not known at the export either, and what differs shows
	}
	if err != nil {
		return nil, fmt.Errorf("look for rows that have left the vault: %w", err)
	}
	var list []string
	for _, x := range now {
		if !slices.ContainsFunc(m.Missing, func(known evidence.Missing) bool { return known.Archive == x.Archive }) {
			list = append(list, fmt.Sprintf("%d rows of %s have left the vault since the export: archive %s", x.Rows, x.Table, x.Archive))
		}
	}
	return list, nil
}

func compareFile(ctx context.Context, view vault.EvidenceView, files []vault.EvidenceFile, want evidence.File) (problem string, err error) {
	at := slices.IndexFunc(files, func(f vault.EvidenceFile) bool { return f.Path == want.Path })
	if at < 0 {
		return want.Path + " cannot be compared: this onevault exports no such file", nil
	}
	meter := digest.NewMeter(nil)
	rows, err := view.Copy(ctx, files[at], meter, func(int64) {})
	var withheld *vault.WithheldError
	switch {
	case errors.As(err, &withheld):
		return want.Path + " cannot be compared: " + withheld.Reason, nil
	case err != nil:
		return "", fmt.Errorf("read %s from the vault: %w", want.Path, err)
	case rows.SQLSHA256 != want.SQLSHA256:
		return want.Path + " cannot be compared: this onevault reads it with another statement; use the version that exported the pack", nil
	case meter.SHA256() != want.SHA256:
		return fmt.Sprintf("%s: the vault says something else now: %d rows, SHA-256 %s; the pack has %d rows, %s", want.Path, rows.Rows, meter.SHA256(), *want.Rows, want.SHA256), nil
	}
	return "", nil
}

// EvidenceFramework finds how a framework is written that a person named, among those of the built-in controls
// and those that the vault has controls of.
func EvidenceFramework(ctx context.Context, store *vault.Store, name string) (found string, known []string, err error) {
	if known, err = store.Frameworks(ctx); err != nil {
		return "", nil, err
	}
	controls, err := collect.Controls()
	if err != nil {
		return "", nil, err
	}
	for _, c := range controls {
		known = append(known, c.Frameworks()...)
	}
	slices.SortFunc(known, strings.Compare)
	known = slices.Compact(known)
	for _, framework := range known {
		if collect.SameFramework(framework, name) {
			return framework, known, nil
		}
	}
	return "", known, nil
}
