package vault

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed sql/retention_archives.sql
	archivesSQL string
	//go:embed sql/retention_sizes.sql
	sizesSQL string
)

// longStatement bounds what retention does in one statement; the pool's own limit is for quick ones.
const longStatement = "30min"

// reproducible are the settings under which the same rows are the same text, whoever asks.
const reproducible = `
	SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL bytea_output = 'hex';
	SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8';
	SET LOCAL statement_timeout = '` + longStatement + `'`

// ErrChanged says that rows changed between their archive and their drop; they are to be archived again.
var ErrChanged = errors.New("rows changed since they were archived")

// Part is what leaves the vault at once: a partition, or a month of closed versions of a state satellite.
type Part struct {
	Table     string
	Partition string // empty: closed versions, by load_end_date
	From, To  time.Time
	Archive   bool // false: the setting waives it
	Empty     bool
	Bytes     int64
}

// PrepareRetention makes partitions ahead and gives tables without a setting their default.
func (s *Store) PrepareRetention(ctx context.Context, ahead time.Duration) (partitions int, err error) {
	err = s.long(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT monitoring.put_retention_defaults()"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT monitoring.ensure_partitions((now() AT TIME ZONE 'UTC')::date, ((now() + $1) AT TIME ZONE 'UTC')::date)`, ahead).
			Scan(&partitions)
	})
	if err != nil {
		return 0, fmt.Errorf("make partitions ahead: %w", err)
	}
	return partitions, nil
}

// Hours is a week of a table that is to be rolled up.
type Hours struct {
	Table    string
	From, To time.Time
}

// RollUpsDue lists the weeks with samples that no roll-up counts yet.
func (s *Store) RollUpsDue(ctx context.Context) ([]Hours, error) {
	var list []Hours
	err := s.long(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT table_name, range_from, range_to FROM monitoring.roll_ups_due()")
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Hours])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for hours to roll up: %w", err)
	}
	return list, nil
}

// RollUp writes the hours that are missing or differ, and returns how many. Again, it writes none.
func (s *Store) RollUp(ctx context.Context, h Hours) (written int64, err error) {
	err = s.long(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT monitoring.roll_up($1, $2, $3)", h.Table, h.From, h.To).Scan(&written)
	})
	if err != nil {
		return 0, fmt.Errorf("roll up %s from %s: %w", h.Table, h.From.Format(time.DateOnly), err)
	}
	return written, nil
}

// RetentionPlan lists what is older than its setting says, oldest first per table.
func (s *Store) RetentionPlan(ctx context.Context) ([]Part, error) {
	var list []Part
	err := s.long(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT table_name, coalesce(partition_name, ''), range_from, range_to, archive, is_empty, bytes FROM monitoring.retention_plan()`)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Part])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what has expired: %w", err)
	}
	return list, nil
}

// Snapshot is the rows of a part as one transaction sees them.
type Snapshot struct {
	Name       string // of the archive
	Status     string // what the vault says of an archive of that name; empty: nothing
	Rows       int64
	Digest     string
	Database   string
	PostgreSQL string
	Queries    []ArchiveQuery

	tx pgx.Tx
}

// ArchiveQuery yields one file of an archive.
type ArchiveQuery struct {
	Schema  string
	Table   string
	Columns json.RawMessage // [{name, type}]
	SQL     string
}

// Snapshot shows a part to a function, unchanged while it looks.
func (s *Store) Snapshot(ctx context.Context, p Part, use func(Snapshot) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		shot := Snapshot{tx: tx}
		if _, err := tx.Exec(ctx, reproducible); err != nil {
			return fmt.Errorf("prepare the export of %s: %w", p.Table, err)
		}
		err := tx.QueryRow(ctx, `
			SELECT d.row_count, d.row_digest, n.name, coalesce(a.archive_status, ''), current_database(), current_setting('server_version')
			  FROM monitoring.digest_of($1, $3, $4) AS d
			 CROSS JOIN LATERAL monitoring.archive_name($1, nullif($2, ''), $3, d.row_digest) AS n (name)
			  LEFT JOIN monitoring.archive_s a ON a.archive_hk = util.hash_binary(n.name) AND a.load_end_date IS NULL`,
			p.Table, p.Partition, p.From, p.To).
			Scan(&shot.Rows, &shot.Digest, &shot.Name, &shot.Status, &shot.Database, &shot.PostgreSQL)
		if err != nil {
			return fmt.Errorf("look at the rows of %s: %w", p.Table, refusal(err))
		}
		rows, err := tx.Query(ctx, `
			SELECT table_schema, table_name, columns, query FROM monitoring.archive_queries($1, $2, $3) ORDER BY file_order`, p.Table, p.From, p.To)
		if err != nil {
			return fmt.Errorf("prepare the export of %s: %w", p.Table, err)
		}
		if shot.Queries, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ArchiveQuery]); err != nil {
			return fmt.Errorf("prepare the export of %s: %w", p.Table, err)
		}
		return use(shot)
	})
}

// Copy writes the rows of a query as CSV with a header, and returns how many they are.
func (s Snapshot) Copy(ctx context.Context, q ArchiveQuery, w io.Writer) (int64, error) {
	tag, err := s.tx.Conn().PgConn().CopyTo(ctx, w, "COPY ("+q.SQL+") TO STDOUT (FORMAT csv, HEADER true)")
	if err != nil {
		return 0, fmt.Errorf("export %s.%s: %w", q.Schema, q.Table, err)
	}
	return tag.RowsAffected(), nil
}

// ArchiveNote is what became of an archive.
type ArchiveNote struct {
	Name      string
	Status    string // WAIVED, WRITTEN, VERIFIED
	Part      Part
	Rows      int64
	Digest    string
	Host      string
	FileName  string
	FileBytes int64
	CSVBytes  int64
	CSVSHA256 string
	Manifest  json.RawMessage
}

// NoteArchive records it; again, it records nothing.
func (s *Store) NoteArchive(ctx context.Context, n ArchiveNote) error {
	if err := noteArchive(ctx, s.pool, n, nil); err != nil {
		return fmt.Errorf("record that archive %s is %s: %w", n.Name, n.Status, err)
	}
	return nil
}

func noteArchive(ctx context.Context, db interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, n ArchiveNote, heldUntil *time.Time,
) error {
	var manifest any
	if len(n.Manifest) > 0 {
		manifest = n.Manifest
	}
	_, err := db.Exec(ctx, `
		SELECT monitoring.note_archive($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, nullif($9, ''), $10::jsonb, nullif($11, ''),
		                               nullif($12, 0), nullif($13, 0), nullif($14, ''), $15)`,
		n.Name, n.Status, n.Part.Table, n.Part.Partition, n.Part.From, n.Part.To, n.Rows, n.Digest, n.Host, manifest, n.FileName,
		n.FileBytes, n.CSVBytes, n.CSVSHA256, heldUntil)
	return refusal(err)
}

// DropArchived drops what a verified archive holds, and returns the number of rows; again, the same.
// ErrChanged: they are not those any more.
func (s *Store) DropArchived(ctx context.Context, name string) (dropped int64, err error) {
	err = s.long(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT monitoring.drop_archived($1)", name).Scan(&dropped)
	})
	if changed(err) {
		return 0, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if err != nil {
		return 0, fmt.Errorf("drop what archive %s holds: %w", name, err)
	}
	return dropped, nil
}

func changed(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "40001"
}

// DropEmpty drops an expired partition without rows; false: it is gone, or it has rows.
func (s *Store) DropEmpty(ctx context.Context, p Part) (dropped bool, err error) {
	err = s.long(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT monitoring.drop_empty_partition($1, $2)", p.Table, p.Partition).Scan(&dropped)
	})
	if err != nil {
		return false, fmt.Errorf("drop the empty partition %s: %w", p.Partition, err)
	}
	return dropped, nil
}

// PurgeQueues deletes what queues have long done, and returns how many rows.
func (s *Store) PurgeQueues(ctx context.Context) (int64, error) {
	const batch = 10000
	tables, err := all(ctx, s, pgx.RowTo[string], "SELECT table_name FROM monitoring.queue_table ORDER BY table_name")
	if err != nil {
		return 0, fmt.Errorf("list the queues: %w", err)
	}
	var total int64
	for _, table := range tables {
		for {
			n, err := one(ctx, s, pgx.RowTo[int64], "SELECT monitoring.purge_queue($1, $2)", table, batch)
			if err != nil {
				return total, fmt.Errorf("purge queue %s: %w", table, err)
			}
			total += n
			if n < batch {
				break
			}
		}
	}
	return total, nil
}

// RestoreFile is one table of an archive on its way back.
type RestoreFile struct {
	Schema  string
	Table   string
	Columns []string
	Rows    int64
	Open    func() (io.ReadCloser, error) // CSV with a header
}

// Restored counts what came back.
type Restored struct {
	Rows     int64 // in the archive
	Inserted int64 // the others were there already
	Keys     int64 // hub and link rows that were missing
}

// Restore puts the rows of an archive back, keys first, and has retention leave them alone until a
// moment. Rows that are there already stay as they are; one that is there with another content is an
// error, and then nothing is restored.
func (s *Store) Restore(ctx context.Context, n ArchiveNote, files []RestoreFile, until time.Time) (Restored, error) {
	var out Restored
	err := s.long(ctx, func(tx pgx.Tx) error {
		out = Restored{}
		if _, err := tx.Exec(ctx, reproducible); err != nil {
			return err
		}
		// Neither retention nor a second restore at the same time.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('monitoring.drop_archived', 0))"); err != nil {
			return err
		}
		if err := checkTables(ctx, tx, n, files); err != nil {
			return err
		}
		timeColumn, err := rangeColumn(ctx, tx, n.Part)
		if err != nil {
			return err
		}
		name, err := restoredName(ctx, tx, n)
		if err != nil {
			return err
		}
		n.Name = name
		if n.Part.Partition != "" {
			if _, err := tx.Exec(ctx, "SELECT monitoring.ensure_partitions_of($1, $2, $3)", n.Part.Table, n.Part.From, n.Part.To); err != nil {
				return err
			}
		}
		for i, file := range files {
			within := ""
			if i == len(files)-1 {
				within = timeColumn
			}
			inserted, err := restoreFile(ctx, tx, i, file, n.Part, within)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", file.Schema, file.Table, err)
			}
			if i == len(files)-1 {
				out.Rows, out.Inserted = file.Rows, inserted
			} else {
				out.Keys += inserted
			}
		}
		n.Status = "RESTORED"
		return noteArchive(ctx, tx, n, &until)
	})
	if err != nil {
		return Restored{}, fmt.Errorf("restore %s: %w", n.Name, err)
	}
	return out, nil
}

// checkTables refuses an archive that would write anywhere but where this vault's own archives come from.
func checkTables(ctx context.Context, tx pgx.Tx, n ArchiveNote, files []RestoreFile) error {
	rows, err := tx.Query(ctx, `
		SELECT q.table_schema || '.' || q.table_name
		  FROM monitoring.retained_tables() AS t, LATERAL monitoring.archive_queries(t.table_name, $2, $3) AS q
		 WHERE t.table_name = $1 AND t.kind <> 'QUEUE' AND (t.kind = 'STATE') = ($4 = '')`, n.Part.Table, n.Part.From, n.Part.To, n.Part.Partition)
	if err != nil {
		return err
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for i, file := range files {
		name := file.Schema + "." + file.Table
		if !slices.Contains(known, name) || (i == len(files)-1) != (name == "monitoring."+n.Part.Table) {
			return fmt.Errorf("%s is no part of an archive of %s in this vault", name, n.Part.Table)
		}
	}
	return nil
}

// rangeColumn is the column by which the rows of a part leave, and come back. A part whose range is not one
// that retention makes is refused: its manifest was changed.
func rangeColumn(ctx context.Context, tx pgx.Tx, p Part) (column string, err error) {
	var fits bool
	err = tx.QueryRow(ctx, `
		SELECT t.time_column,
		       CASE WHEN $2 = '' THEN $3 = date_trunc('month', $3::timestamptz, 'UTC') AND $4 = $3 + interval '1 month'
		            ELSE $3 = date_trunc('week', $3::timestamptz, 'UTC') AND $4 = $3 + interval '7 days'
		                 AND $2 = $1 || to_char($3, '"_p"YYYYMMDD') END
		  FROM monitoring.retained_tables() AS t
		 WHERE t.table_name = $1`, p.Table, p.Partition, p.From, p.To).Scan(&column, &fits)
	if err == nil && !fits {
		err = fmt.Errorf("its manifest names %s from %s to %s: neither a week of a partition nor a month of closed versions",
			cmp.Or(p.Partition, p.Table), p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
	}
	return column, err
}

// restoredName is the archive's own name, unless this vault has another archive of that name.
func restoredName(ctx context.Context, tx pgx.Tx, n ArchiveNote) (string, error) {
	var taken bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM monitoring.archive_s a
		                WHERE a.archive_hk = util.hash_binary($1) AND a.load_end_date IS NULL AND a.csv_sha256 IS DISTINCT FROM $2)`,
		n.Name, n.CSVSHA256).Scan(&taken)
	if taken {
		return n.Name + "@" + n.CSVSHA256[:12], err
	}
	return n.Name, err
}

// restoreFile puts a file's rows back. within is the column of the rows' range; empty: the file holds keys.
func restoreFile(ctx context.Context, tx pgx.Tx, number int, file RestoreFile, p Part, within string) (int64, error) {
	table := pgx.Identifier{file.Schema, file.Table}.Sanitize()
	staging := fmt.Sprintf("pg_temp.restore_%d", number)
	columns := make([]string, len(file.Columns))
	for i, c := range file.Columns {
		columns[i] = pgx.Identifier{c}.Sanitize()
	}
	list := strings.Join(columns, ", ")
	if err := checkColumns(ctx, tx, file); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("CREATE TEMPORARY TABLE restore_%d ON COMMIT DROP AS SELECT %s FROM %s WITH NO DATA", number, list, table)); err != nil {
		return 0, err
	}
	csv, err := file.Open()
	if err != nil {
		return 0, err
	}
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, csv, fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT csv, HEADER true)", staging, list))
	if err := errors.Join(err, csv.Close()); err != nil {
		return 0, err
	}
	if tag.RowsAffected() != file.Rows {
		return 0, fmt.Errorf("%d rows were read, the manifest says %d", tag.RowsAffected(), file.Rows)
	}
	if within != "" {
		var astray int64
		column := pgx.Identifier{within}.Sanitize()
		if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %[1]s WHERE (%[2]s >= $1 AND %[2]s < $2) IS NOT TRUE", staging, column),
			p.From, p.To).Scan(&astray); err != nil {
			return 0, err
		}
		if astray > 0 {
			return 0, fmt.Errorf("%d rows have a %s that is not from %s to %s, as the manifest says: nothing of it is trusted",
				astray, within, p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
		}
	}
	keys, err := primaryKey(ctx, tx, file)
	if err != nil {
		return 0, err
	}
	same := make([]string, len(keys))
	for i, key := range keys {
		same[i] = fmt.Sprintf("t.%[1]s = r.%[1]s", key)
	}
	match := strings.Join(same, " AND ")
	var missing int64
	if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s r WHERE NOT EXISTS (SELECT FROM %s t WHERE %s)", staging, table, match)).Scan(&missing); err != nil {
		return 0, err
	}
	if missing > 0 { // else no right to insert is needed: tenants belong to others
		inserted, err := tx.Exec(ctx, fmt.Sprintf(`
			INSERT INTO %[1]s (%[2]s)
			SELECT %[2]s FROM %[3]s r
			 WHERE NOT EXISTS (SELECT FROM %[1]s t WHERE %[4]s)
			 ORDER BY %[5]s
			ON CONFLICT DO NOTHING`, table, list, staging, match, strings.Join(keys, ", ")))
		if err != nil {
			return 0, err
		}
		missing = inserted.RowsAffected()
	}
	return missing, checkRestored(ctx, tx, file, table, staging, match)
}

// checkColumns refuses an archive of a table that has lost a column since.
func checkColumns(ctx context.Context, tx pgx.Tx, file RestoreFile) error {
	var lost []string
	err := tx.QueryRow(ctx, `
		SELECT coalesce(array_agg(c ORDER BY c), '{}')
		  FROM unnest($3::text[]) AS c
		 WHERE NOT EXISTS (SELECT FROM pg_attribute a
		                    WHERE a.attrelid = to_regclass(format('%I.%I', $1::text, $2::text)) AND a.attname = c AND a.attnum > 0 AND NOT a.attisdropped)`,
		file.Schema, file.Table, file.Columns).Scan(&lost)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("the vault's table has no column %s: restore into a vault of the version that wrote the archive", strings.Join(lost, ", "))
	}
	return nil
}

func primaryKey(ctx context.Context, tx pgx.Tx, file RestoreFile) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT quote_ident(a.attname)
		  FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY AS k (attnum, place), pg_attribute a
		 WHERE p.conrelid = to_regclass(format('%I.%I', $1::text, $2::text)) AND p.contype = 'p' AND a.attrelid = p.conrelid AND a.attnum = k.attnum
		 ORDER BY k.place`, file.Schema, file.Table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// checkRestored makes sure that every row of the archive is there, as it was: hash_diff aside, which a
// table that has got columns since computes anew, and a hub's load_date and source, which are those of
// whoever wrote the key first.
func checkRestored(ctx context.Context, tx pgx.Tx, file RestoreFile, table, staging, same string) error {
	ignored := []string{"hash_diff"}
	if !strings.HasSuffix(file.Table, "_s") {
		ignored = []string{"load_date", "record_source"}
	}
	var compared []string
	for _, c := range file.Columns {
		if !slices.Contains(ignored, c) {
			name := pgx.Identifier{c}.Sanitize()
			compared = append(compared, fmt.Sprintf("t.%[1]s IS NOT DISTINCT FROM r.%[1]s", name))
		}
	}
	var differing int64
	if err := tx.QueryRow(ctx, fmt.Sprintf(`
		SELECT count(*) FROM %s r WHERE NOT EXISTS (SELECT FROM %s t WHERE %s AND %s)`,
		staging, table, same, strings.Join(compared, " AND "))).Scan(&differing); err != nil {
		return err
	}
	if differing > 0 {
		return fmt.Errorf("%d rows of the archive stand in the vault with another content", differing)
	}
	return nil
}

// ListedArchive is an archive as its list shows it. Times are UTC.
type ListedArchive struct {
	Name      string          `json:"name"`
	Table     string          `json:"table"`
	Partition string          `json:"partition,omitempty"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Status    string          `json:"status"`
	Rows      int64           `json:"rows"`
	Host      string          `json:"host,omitempty"`
	File      string          `json:"file,omitempty"`
	FileBytes int64           `json:"file_bytes"`
	CSVBytes  int64           `json:"csv_bytes"`
	SHA256    string          `json:"csv_sha256,omitempty"`
	HeldUntil Timestamp       `json:"held_until,omitzero"`
	ChangedAt time.Time       `json:"changed_at"`
	Manifest  json.RawMessage `json:"manifest,omitempty"`
}

// Archives lists all archives, newest rows first.
func (s *Store) Archives(ctx context.Context) ([]ListedArchive, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[ListedArchive], archivesSQL)
	if err != nil {
		return nil, fmt.Errorf("list the archives: %w", err)
	}
	return list, nil
}

// TableStats is how large a table is and what is kept of it. Times are UTC, zero: no rows.
type TableStats struct {
	Table         string    `json:"table"`
	Kind          string    `json:"kind"` // MEASUREMENT, ROLLUP, STATE, QUEUE, HUB, LINK, REFERENCE
	Partitions    int       `json:"partitions,omitempty"`
	EstimatedRows int64     `json:"estimated_rows"`
	Bytes         int64     `json:"bytes"` // with indexes
	Oldest        Timestamp `json:"oldest,omitzero"`
	Newest        Timestamp `json:"newest,omitzero"`
	Keep          string    `json:"keep,omitempty"` // an interval, "for ever", or empty: rows never leave
	Archive       bool      `json:"archive"`
	Archives      int64     `json:"archives"`
	ArchivedRows  int64     `json:"archived_rows"`
	ArchivedBytes int64     `json:"archived_bytes"`
}

// Sizes is what monitoring takes of the server that the vault is on.
type Sizes struct {
	Monitoring int64 `json:"monitoring_bytes"` // the schema
	Database   int64 `json:"database_bytes"`   // the vault's database
	Others     int64 `json:"other_bytes"`      // what the server holds beside monitoring
}

// Stats reads the sizes of the vault.
func (s *Store) Stats(ctx context.Context) ([]TableStats, Sizes, error) {
	var (
		tables []TableStats
		sizes  Sizes
	)
	err := s.long(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT table_name, kind, partitions, estimated_rows, bytes, oldest, newest, coalesce(keep, ''), coalesce(archive, false),
			       archives, archived_rows, archived_bytes
			  FROM monitoring.vault_stats()`)
		if err != nil {
			return err
		}
		if tables, err = pgx.CollectRows(rows, pgx.RowToStructByPos[TableStats]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, sizesSQL).Scan(&sizes.Monitoring, &sizes.Database, &sizes.Others)
	})
	if err != nil {
		return nil, Sizes{}, fmt.Errorf("read the sizes of the vault: %w", err)
	}
	return tables, sizes, nil
}

// long runs a transaction that may take its time. The functions' refusals keep their words. Each statement
// sees what was committed before it, whatever the database's own default is: what drops rows must see all.
func (s *Store) long(ctx context.Context, do func(pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '"+longStatement+"'"); err != nil {
			return err
		}
		return do(tx)
	})
	return refusal(err)
}
