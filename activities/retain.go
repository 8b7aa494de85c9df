package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"go.temporal.io/sdk/temporal"

	"onevault/archive"
	"onevault/vault"
)

// ErrorRowsChanged: rows changed between their archive and their drop; they are to be archived again.
const ErrorRowsChanged = "RowsChanged"

// ErrorNoArchive: rows are to be archived and there is nowhere to put them.
const ErrorNoArchive = "NoArchive"

// aheadFor is how far ahead partitions are made: longer than anybody leaves a worker down unnoticed.
const aheadFor = 28 * 24 * time.Hour

// Retention are the activities by which rows become hours, leave the vault, and come back. Each may be
// killed at any moment and be run again: it finds what the former left and ends the same.
type Retention struct {
	Vault *vault.Store
	// Archive is where archives are written; nil: nowhere, and then nothing leaves that is to be archived.
	Archive *archive.Dir
	Host    string
	Version string // of onevault
}

// PrepareRetentionInput is empty.
type PrepareRetentionInput struct{}

// PrepareRetentionOutput counts the partitions that were made, and names what is to be rolled up.
type PrepareRetentionOutput struct {
	Partitions int             `json:"partitions"`
	Hours      []RetainedHours `json:"hours,omitempty"`
}

// RetainedHours is a week of a raw table.
type RetainedHours struct {
	Table string    `json:"table"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// PrepareRetention makes partitions ahead, and finds the weeks whose hours are not rolled up.
func (r *Retention) PrepareRetention(ctx context.Context, _ PrepareRetentionInput) (PrepareRetentionOutput, error) {
	defer heartbeat(ctx)()
	made, err := r.Vault.PrepareRetention(ctx, aheadFor)
	if err != nil {
		return PrepareRetentionOutput{}, classify(err)
	}
	due, err := r.Vault.RollUpsDue(ctx)
	if err != nil {
		return PrepareRetentionOutput{}, classify(err)
	}
	out := PrepareRetentionOutput{Partitions: made}
	for _, h := range due {
		out.Hours = append(out.Hours, RetainedHours{h.Table, h.From.UTC(), h.To.UTC()})
	}
	return out, nil
}

// RollUpInput names a week.
type RollUpInput struct {
	Hours RetainedHours `json:"hours"`
}

// RollUpOutput counts the hours that were written.
type RollUpOutput struct {
	Written int64 `json:"written"`
}

// RollUp writes the hours of a week that are missing or no longer true.
func (r *Retention) RollUp(ctx context.Context, in RollUpInput) (RollUpOutput, error) {
	defer heartbeat(ctx)()
	written, err := r.Vault.RollUp(ctx, vault.Hours{Table: in.Hours.Table, From: in.Hours.From, To: in.Hours.To})
	return RollUpOutput{written}, classify(err)
}

// PlanRetentionInput is empty.
type PlanRetentionInput struct{}

// PlanRetentionOutput is what has expired, oldest first per table.
type PlanRetentionOutput struct {
	Parts []RetainedPart `json:"parts,omitempty"`
}

// RetainedPart is what leaves at once: a partition, or a month of closed versions.
type RetainedPart struct {
	Table     string    `json:"table"`
	Partition string    `json:"partition,omitempty"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Archive   bool      `json:"archive"`
	Empty     bool      `json:"empty,omitempty"`
}

// Label is how a person calls it.
func (p RetainedPart) Label() string {
	if p.Partition != "" {
		return p.Partition
	}
	return p.Table + " of " + p.From.Format("2006-01")
}

func (p RetainedPart) vault() vault.Part {
	return vault.Part{Table: p.Table, Partition: p.Partition, From: p.From, To: p.To, Archive: p.Archive, Empty: p.Empty}
}

// PlanRetention lists what is older than its setting says.
func (r *Retention) PlanRetention(ctx context.Context, _ PlanRetentionInput) (PlanRetentionOutput, error) {
	defer heartbeat(ctx)()
	parts, err := r.Vault.RetentionPlan(ctx)
	if err != nil {
		return PlanRetentionOutput{}, classify(err)
	}
	var out PlanRetentionOutput
	for _, p := range parts {
		out.Parts = append(out.Parts, RetainedPart{p.Table, p.Partition, p.From.UTC(), p.To.UTC(), p.Archive, p.Empty})
	}
	return out, nil
}

// ArchivePartInput names a part.
type ArchivePartInput struct {
	Part RetainedPart `json:"part"`
}

// ArchivePartOutput names the archive that was written and read back.
type ArchivePartOutput struct {
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // of the files
}

// ArchivePart writes a part to disk, reads it back and compares. Both in one activity, because two could
// run on two hosts, and the second would not find the file.
func (r *Retention) ArchivePart(ctx context.Context, in ArchivePartInput) (ArchivePartOutput, error) {
	defer heartbeat(ctx)()
	if in.Part.Archive && r.Archive == nil {
		return ArchivePartOutput{}, temporal.NewNonRetryableApplicationError(
			"no directory for archives: set ONEVAULT_ARCHIVE_DIR, or the table's setting to {\"archive\": false}", ErrorNoArchive, nil)
	}
	var note vault.ArchiveNote
	err := r.Vault.Snapshot(ctx, in.Part.vault(), func(shot vault.Snapshot) error {
		note = vault.ArchiveNote{Name: shot.Name, Part: in.Part.vault(), Rows: shot.Rows, Digest: shot.Digest}
		if !in.Part.Archive {
			note.Status = "WAIVED"
			return nil
		}
		// What was written before, here, and holds these rows, is not written again.
		if written, err := r.Archive.Verify(shot.Name); err == nil && written.Manifest.Digest == shot.Digest {
			return r.fill(&note, written.Manifest)
		}
		m, err := r.write(ctx, in.Part, shot)
		if err != nil {
			return err
		}
		return r.fill(&note, m)
	})
	if err != nil {
		return ArchivePartOutput{}, classify(err)
	}
	if note.Status == "WAIVED" {
		return ArchivePartOutput{Name: note.Name, Rows: note.Rows}, classify(r.Vault.NoteArchive(ctx, note))
	}
	return r.verify(ctx, note)
}

func (r *Retention) write(ctx context.Context, part RetainedPart, shot vault.Snapshot) (archive.Manifest, error) {
	var sources []archive.Source
	for _, q := range shot.Queries {
		var columns []archive.Column
		if err := json.Unmarshal(q.Columns, &columns); err != nil {
			return archive.Manifest{}, fmt.Errorf("columns of %s.%s: %w", q.Schema, q.Table, err)
		}
		sources = append(sources, archive.Source{
			Schema: q.Schema, Table: q.Table, Columns: columns,
			Copy: func(w io.Writer) (int64, error) { return shot.Copy(ctx, q, w) },
		})
	}
	return r.Archive.Write(shot.Name, archive.Manifest{
		Table: part.Table, Partition: part.Partition, From: part.From, To: part.To, Digest: shot.Digest,
		Database: shot.Database, PostgreSQL: shot.PostgreSQL, OneVault: r.Version, Host: r.Host, TakenAt: time.Now().UTC(),
	}, sources)
}

func (r *Retention) fill(note *vault.ArchiveNote, m archive.Manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	rows := m.RowsFile()
	note.Host, note.FileName, note.FileBytes = m.Host, r.Archive.Path(note.Name), m.Bytes()
	note.CSVBytes, note.CSVSHA256, note.Manifest = rows.CSVBytes, rows.CSVSHA256, text
	return nil
}

// verify notes that the files are there, reads them back from the disk, and notes that they are right.
func (r *Retention) verify(ctx context.Context, note vault.ArchiveNote) (ArchivePartOutput, error) {
	note.Status = "WRITTEN"
	if err := r.Vault.NoteArchive(ctx, note); err != nil {
		return ArchivePartOutput{}, classify(err)
	}
	written, err := r.Archive.Verify(note.Name)
	if err != nil {
		return ArchivePartOutput{}, fmt.Errorf("read back: %w", err)
	}
	if m := written.Manifest; m.Rows != note.Rows || m.Digest != note.Digest || m.RowsFile().CSVSHA256 != note.CSVSHA256 {
		return ArchivePartOutput{}, fmt.Errorf("read back: %s holds other rows than were written", note.FileName)
	}
	note.Status = "VERIFIED"
	if err := r.Vault.NoteArchive(ctx, note); err != nil {
		return ArchivePartOutput{}, classify(err)
	}
	return ArchivePartOutput{Name: note.Name, Rows: note.Rows, Bytes: note.FileBytes}, nil
}

// DropPartInput names a part, and its archive unless the part is empty.
type DropPartInput struct {
	Part RetainedPart `json:"part"`
	Name string       `json:"name,omitempty"`
}

// DropPartOutput counts the rows that left.
type DropPartOutput struct {
	Rows int64 `json:"rows"`
}

// DropPart drops what was archived. The database itself makes sure that it is exactly that.
func (r *Retention) DropPart(ctx context.Context, in DropPartInput) (DropPartOutput, error) {
	defer heartbeat(ctx)()
	if in.Part.Empty {
		_, err := r.Vault.DropEmpty(ctx, in.Part.vault())
		return DropPartOutput{}, classify(err)
	}
	rows, err := r.Vault.DropArchived(ctx, in.Name)
	if errors.Is(err, vault.ErrChanged) {
		return DropPartOutput{}, temporal.NewNonRetryableApplicationError(err.Error(), ErrorRowsChanged, err)
	}
	return DropPartOutput{rows}, classify(err)
}

// PurgeQueuesInput is empty.
type PurgeQueuesInput struct{}

// PurgeQueuesOutput counts the rows that were deleted.
type PurgeQueuesOutput struct {
	Rows int64 `json:"rows"`
}

// PurgeQueues deletes what queues have long done.
func (r *Retention) PurgeQueues(ctx context.Context, _ PurgeQueuesInput) (PurgeQueuesOutput, error) {
	defer heartbeat(ctx)()
	rows, err := r.Vault.PurgeQueues(ctx)
	return PurgeQueuesOutput{rows}, classify(err)
}

// RestoreArchive reads an archive and puts its rows back into a vault, where retention leaves them alone
// until a moment.
func RestoreArchive(ctx context.Context, store *vault.Store, path string, until time.Time) (archive.Manifest, vault.Restored, error) {
	found, err := archive.Verify(path)
	if err != nil {
		return archive.Manifest{}, vault.Restored{}, err
	}
	m := found.Manifest
	text, err := json.Marshal(m)
	if err != nil {
		return m, vault.Restored{}, err
	}
	rows := m.RowsFile()
	note := vault.ArchiveNote{
		Name: found.Name(), Part: vault.Part{Table: m.Table, Partition: m.Partition, From: m.From, To: m.To}, Rows: m.Rows, Digest: m.Digest,
		Host: m.Host, FileName: path, FileBytes: m.Bytes(), CSVBytes: rows.CSVBytes, CSVSHA256: rows.CSVSHA256, Manifest: text,
	}
	var files []vault.RestoreFile
	for i, f := range m.Files {
		columns := make([]string, len(f.Columns))
		for c, column := range f.Columns {
			columns[c] = column.Name
		}
		files = append(files, vault.RestoreFile{
			Schema: f.Schema, Table: f.Table, Columns: columns, Rows: f.Rows,
			Open: func() (io.ReadCloser, error) { return found.Open(i) },
		})
	}
	restored, err := store.Restore(ctx, note, files, until)
	return m, restored, err
}
