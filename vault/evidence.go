package vault

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"onevault/digest"
	"onevault/report"
)

var (
	//go:embed sql/evidence/*.sql
	evidenceFiles embed.FS
	//go:embed sql/evidence_index/*.sql
	evidenceIndexFiles embed.FS
	//go:embed sql/evidence_vault.sql
	evidenceVaultSQL string
	//go:embed sql/evidence_missing.sql
	evidenceMissingSQL string
)

// evidenceOrder is the order of the files of a pack: those of the period first, then those of the vault as
// it is. Each has a statement of the same name.
var evidenceOrder = []string{
	"controls", "alerts", "notifications", "incidents", "incident_timeline", "security_events", "evaluation_gaps", "evaluation_coverage",
	"evaluation_decisions", "collection_coverage", "security_detection", "alert_definitions", "notification_channels", "escalation_policies", "settings", "evidence_exports",
	"vault_archives", "vault_retention", "vault_guards", "vault_roles", "vault_grants", "vault_row_security", "vault_migrations", "vault_functions",
}

// evidenceIndexOrder is the order of the tables of a pack's index.
var evidenceIndexOrder = []string{
	"controls", "alerts", "notifications", "incidents", "security", "gaps", "evaluations", "collection", "detection", "changes", "guards",
	"replaced", "powerful", "exports",
}

// evidenceTables are those whose rows a pack is made of, and would miss. Samples of metrics are not among
// them: their roll-ups tell when a target was measured.
var evidenceTables = []string{
	"alert_definition_s", "alert_evaluation_s", "alert_incident_eff_s", "alert_instance_s", "compliance_check_s", "escalation_policy_s", "evidence_export_s",
	"incident_note_s", "incident_s", "monitor_config_s", "notification_config_s", "notification_log_s", "security_event_s",
	"system_health_metric_hourly_s",
}

// EvidencePeriod is what a pack tells of: a framework, one target or all, and a time [From, To).
type EvidencePeriod struct {
	Framework string
	Target    string // empty: all
	From, To  time.Time
}

// EvidenceFile is one CSV of a pack: a statement of the period, or of the vault as it is.
type EvidenceFile struct {
	Path     string // within the pack
	About    string
	OfPeriod bool // the same history gives the same bytes, whenever it is exported

	sql, fallback string // fallback is for a role that may not read all that sql reads
}

// EvidenceFiles are the files of a pack in their order.
func EvidenceFiles() ([]EvidenceFile, error) {
	var list []EvidenceFile
	for _, name := range evidenceOrder {
		header, sql, err := evidenceStatement(evidenceFiles, "sql/evidence/"+name+".sql")
		if err != nil {
			return nil, err
		}
		f := EvidenceFile{OfPeriod: !strings.HasPrefix(name, "vault_"), About: header["about"], sql: sql}
		f.Path = map[bool]string{true: "data/", false: "vault/"}[f.OfPeriod] + header["file"]
		if name == "notification_channels" {
			if _, f.fallback, err = evidenceStatement(evidenceFiles, "sql/evidence/notification_channels_reader.sql"); err != nil {
				return nil, err
			}
		}
		list = append(list, f)
	}
	return list, nil
}

var evidenceHeader = regexp.MustCompile(`^-- ([a-z]+): (.+)$`)

// evidenceStatement reads a statement and its header lines `-- name: value`.
func evidenceStatement(files embed.FS, name string) (header map[string]string, sql string, err error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, "", fmt.Errorf("read the statement %s: %w", name, err)
	}
	header = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if match := evidenceHeader.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
			header[match[1]] = match[2]
		}
	}
	return header, strings.TrimSpace(string(text)), nil
}

// EvidenceVault says which vault it is, and as whom it is read.
type EvidenceVault struct {
	SessionUser      string
	Role             string
	Scope            string // ALL, NONE, or the hash keys of tenants
	SystemIdentifier string // of the server's data directory
	Database         string
	PostgreSQL       string
	MigratedFirst    string // when its schema was made, in the server's time zone
	SchemaVersion    int64  // the newest migration
}

// EvidenceMissing is an archive of rows of the period that the vault no longer holds.
type EvidenceMissing struct {
	Archive    string
	Table      string
	From, To   time.Time
	Rows       int64
	Certain    bool // false: its rows ended after the period, and may have begun in it
	Archived   bool // false: a setting had them leave without an archive
	Host       string
	File       string
	FileSHA256 string
	CSVSHA256  string
}

// EvidenceView is the vault as one transaction sees it, unchanged while a pack is written.
type EvidenceView struct {
	Period EvidencePeriod
	Vault  EvidenceVault
	Now    time.Time // the vault's clock

	tx pgx.Tx
}

// Evidence shows the vault to a function, in one read-only transaction.
func (s *Store) Evidence(ctx context.Context, p EvidencePeriod, use func(EvidenceView) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, reproducible); err != nil {
			return fmt.Errorf("prepare the export of evidence: %w", err)
		}
		view := EvidenceView{Period: p, tx: tx}
		v := &view.Vault
		err := tx.QueryRow(ctx, evidenceVaultSQL).Scan(&view.Now, &v.SessionUser, &v.Role, &v.Scope, &v.SystemIdentifier, &v.Database,
			&v.PostgreSQL, &v.MigratedFirst, &v.SchemaVersion)
		if err != nil {
			return fmt.Errorf("ask the vault which it is: %w", err)
		}
		view.Now = view.Now.UTC()
		return use(view)
	})
}

// Frameworks lists those that any control was recorded for.
func (s *Store) Frameworks(ctx context.Context) ([]string, error) {
	list, err := all(ctx, s, pgx.RowTo[string], "SELECT DISTINCT compliance_framework FROM monitoring.compliance_check_s ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("list the frameworks: %w", err)
	}
	return list, nil
}

func (v EvidenceView) arguments() pgx.NamedArgs {
	return pgx.NamedArgs{
		"period_from": v.Period.From, "period_to": v.Period.To, "target": optional(v.Period.Target), "framework": v.Period.Framework,
		"tables": evidenceTables,
	}
}

// Missing lists what of the period has left the vault.
func (v EvidenceView) Missing(ctx context.Context) (list []EvidenceMissing, err error) {
	err = v.within(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, evidenceMissingSQL, v.arguments())
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[EvidenceMissing])
		for i := range list {
			list[i].From, list[i].To = list[i].From.UTC(), list[i].To.UTC()
		}
		return err
	})
	return list, err
}

// WithheldError says that the present role may not read something.
type WithheldError struct{ Reason string }

func (e *WithheldError) Error() string { return e.Reason }

// within runs statements whose failure leaves the transaction usable.
func (v EvidenceView) within(ctx context.Context, do func(pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, v.tx, do)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42501" {
		return &WithheldError{fmt.Sprintf("role %s may not read it: %s", v.Vault.Role, pgErr.Message)}
	}
	return err
}

// EvidenceRows is what was written of a file.
type EvidenceRows struct {
	Columns   []string
	Rows      int64
	SQLSHA256 string // of the statement: another one may say the same history in another form
}

// Copy writes a file as CSV with a header, row by row, and tells its progress every now and then. A role that
// may not read it gets a *WithheldError before anything was written.
func (v EvidenceView) Copy(ctx context.Context, f EvidenceFile, w io.Writer, progress func(rows int64)) (EvidenceRows, error) {
	out, err := v.copy(ctx, f.sql, w, progress)
	var withheld *WithheldError
	if errors.As(err, &withheld) && f.fallback != "" {
		return v.copy(ctx, f.fallback, w, progress)
	}
	return out, err
}

func (v EvidenceView) copy(ctx context.Context, sql string, w io.Writer, progress func(rows int64)) (out EvidenceRows, err error) {
	const told = 50_000
	out.SQLSHA256 = digest.SHA256([]byte(sql))
	buffer := bufio.NewWriterSize(w, 1<<16)
	err = v.within(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, pgx.QueryResultFormats{pgx.TextFormatCode}, v.arguments())
		if err != nil {
			return err
		}
		defer rows.Close()
		types := make([]uint32, len(rows.FieldDescriptions()))
		for i, field := range rows.FieldDescriptions() {
			out.Columns = append(out.Columns, field.Name)
			types[i] = field.DataTypeOID
		}
		if _, err := buffer.WriteString(strings.Join(out.Columns, ",") + "\n"); err != nil {
			return err
		}
		for rows.Next() {
			for i, value := range rows.RawValues() {
				if i > 0 {
					_ = buffer.WriteByte(',') // the buffer keeps its first error
				}
				_, _ = buffer.WriteString(csvField(value, types[i]))
			}
			if err := buffer.WriteByte('\n'); err != nil {
				return err
			}
			if out.Rows++; out.Rows%told == 0 {
				progress(out.Rows)
			}
		}
		return rows.Err()
	})
	if err == nil {
		err = buffer.Flush()
	}
	return out, err
}

// csvField writes a value as an auditor reads it: times as RFC 3339, keys in plain hex, truth in words. NULL
// is nothing, and an empty text is "", as COPY of PostgreSQL has it.
func csvField(value []byte, kind uint32) string {
	if value == nil {
		return ""
	}
	text := string(value)
	switch kind {
	case pgtype.TimestamptzOID, pgtype.TimestampOID:
		// The session's time zone is UTC.
		if text = strings.Replace(text, " ", "T", 1); strings.HasSuffix(text, "+00") {
			text = strings.TrimSuffix(text, "+00") + "Z"
		}
	case pgtype.BoolOID:
		text = map[string]string{"t": "true", "f": "false"}[text]
	case pgtype.ByteaOID:
		text = strings.TrimPrefix(text, `\x`)
	}
	if text == "" || strings.ContainsAny(text, "\",\r\n") {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return text
}

// EvidenceTable is one table of a pack's index, and the section that it belongs to.
type EvidenceTable struct {
	Section string
	report.Table
}

// evidenceIndexRows bounds the rows of a table of the index; the files hold all.
const evidenceIndexRows = 500

// Index reads the tables of a pack's index. They are made of the files' own statements, so that they say
// what the files say.
func (v EvidenceView) Index(ctx context.Context) ([]EvidenceTable, error) {
	files, err := EvidenceFiles()
	if err != nil {
		return nil, err
	}
	var replacements []string
	for _, f := range files {
		replacements = append(replacements, "{"+path.Base(f.Path)+"}", "(\n"+f.sql+"\n)")
	}
	replace := strings.NewReplacer(replacements...)
	var list []EvidenceTable
	for _, name := range evidenceIndexOrder {
		header, sql, err := evidenceStatement(evidenceIndexFiles, "sql/evidence_index/"+name+".sql")
		if err != nil {
			return nil, err
		}
		table := EvidenceTable{Section: header["section"], Table: report.Table{Title: header["title"], Empty: header["empty"]}}
		err = v.within(ctx, func(tx pgx.Tx) error { return v.fill(ctx, tx, &table.Table, replace.Replace(sql)) })
		var withheld *WithheldError
		if errors.As(err, &withheld) {
			table.Columns, table.Rows, table.Empty = nil, nil, "Not told: "+withheld.Reason+"."
		} else if err != nil {
			return nil, fmt.Errorf("read the index's table %s: %w", name, err)
		}
		list = append(list, table)
	}
	return list, nil
}

// fill reads a table of the index. A column named |SO holds numbers, one named SO* sentences.
func (v EvidenceView) fill(ctx context.Context, tx pgx.Tx, table *report.Table, sql string) error {
	rows, err := tx.Query(ctx, sql, pgx.QueryResultFormats{pgx.TextFormatCode}, v.arguments())
	if err != nil {
		return err
	}
	defer rows.Close()
	for _, field := range rows.FieldDescriptions() {
		name, right := strings.CutPrefix(field.Name, "|")
		name, long := strings.CutSuffix(name, "*")
		table.Columns = append(table.Columns, report.Column{Name: name, Right: right, Long: long})
	}
	left := 0
	for rows.Next() {
		if len(table.Rows) == evidenceIndexRows {
			left++
			continue
		}
		cells := make([]report.Cell, len(table.Columns))
		for i, value := range rows.RawValues() {
			cells[i] = report.Cell{Text: "-"}
			if len(value) > 0 {
				cells[i] = report.Cell{Text: string(value), Tone: evidenceTones[string(value)]}
			}
		}
		table.Rows = append(table.Rows, cells)
	}
	if left > 0 {
		table.More = fmt.Sprintf("%d more rows are in the files.", left)
	}
	return rows.Err()
}

var evidenceTones = map[string]report.Tone{
	"COMPLIANT": report.Good, "PARTIALLY_COMPLIANT": report.Fair, "NON_COMPLIANT": report.Bad, "NOT_TESTED": report.Faint,
	"NOT_EVALUATED": report.Bad, "NEVER_EVALUATED": report.Bad, "ROWS_LEFT": report.Fair, "passed": report.Bad, "DISABLED": report.Bad,
}

// EvidenceExport is what the vault keeps of an export.
type EvidenceExport struct {
	Period         EvidencePeriod
	At             time.Time
	Via            string // cli:<user@host>
	Scope          string
	ManifestSHA256 string
	ContentSHA256  string
	Files          int
	Rows           int64
	Complete       bool
	SigningKey     string // SHA-256 of the public key; empty: not signed
	Version        string
}

// RecordEvidenceExport records an export; again, it records nothing.
func (s *Store) RecordEvidenceExport(ctx context.Context, e EvidenceExport) error {
	_, err := s.pool.Exec(ctx, "SELECT monitoring.record_evidence_export($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
		e.Period.Framework, e.Period.Target, e.Period.From, e.Period.To, e.At, e.Via, e.Scope, e.ManifestSHA256, e.ContentSHA256,
		e.Files, e.Rows, e.Complete, e.SigningKey, e.Version)
	if err != nil {
		return fmt.Errorf("record the export: %w", refusal(err))
	}
	return nil
}

// EvidenceExported reports who exported the pack of a manifest, and when; ErrNotFound: this vault knows of
// no such export.
func (s *Store) EvidenceExported(ctx context.Context, manifestSHA256 string) (by string, at time.Time, err error) {
	type row struct {
		By string
		At time.Time
	}
	found, err := all(ctx, s, pgx.RowToStructByPos[row], `
		SELECT x.exported_by || coalesce(', ' || x.exported_via, ''), x.exported_at
		  FROM monitoring.evidence_export_s x
		 WHERE x.evidence_export_hk = util.hash_binary(util.bk('EVIDENCE', $1))
		   AND x.load_end_date IS NULL`, manifestSHA256)
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr) && pgErr.Code == "42501":
		return "", time.Time{}, &WithheldError{"the present role may not read which evidence was exported"}
	case err != nil:
		return "", time.Time{}, fmt.Errorf("ask for the export: %w", err)
	case len(found) == 0:
		return "", time.Time{}, fmt.Errorf("an export with this manifest: %w", ErrNotFound)
	}
	return found[0].By, found[0].At.UTC(), nil
}

// ListedEvidence is an export as its list shows it.
type ListedEvidence struct {
	At             time.Time `json:"exported_at"`
	Framework      string    `json:"framework"`
	Target         string    `json:"target,omitempty"`
	From           time.Time `json:"period_from"`
	To             time.Time `json:"period_to"`
	By             string    `json:"exported_by"`
	Via            string    `json:"exported_via,omitempty"`
	Scope          string    `json:"tenant_scope"`
	ManifestSHA256 string    `json:"manifest_sha256"`
	ContentSHA256  string    `json:"content_sha256"`
	Files          int       `json:"files"`
	Rows           int64     `json:"rows"`
	Complete       bool      `json:"complete"`
	SigningKey     string    `json:"signing_key,omitempty"`
	Version        string    `json:"onevault,omitempty"`
}

// EvidenceExports lists what was exported, the newest first.
func (s *Store) EvidenceExports(ctx context.Context) ([]ListedEvidence, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[ListedEvidence], `
		SELECT x.exported_at, x.framework_name, coalesce(x.target_name, ''), x.period_from, x.period_to, x.exported_by,
		       coalesce(x.exported_via, ''), x.tenant_scope, x.manifest_sha256, x.content_sha256, x.file_count, x.row_count,
		       x.is_complete, coalesce(x.signing_key, ''), coalesce(x.program_version, '')
		  FROM monitoring.evidence_export_s x
		 WHERE x.load_end_date IS NULL
		 ORDER BY x.exported_at DESC, x.manifest_sha256`)
	if err != nil {
		return nil, fmt.Errorf("list the exports: %w", err)
	}
	for i := range list {
		list[i].At, list[i].From, list[i].To = list[i].At.UTC(), list[i].From.UTC(), list[i].To.UTC()
	}
	return list, nil
}
