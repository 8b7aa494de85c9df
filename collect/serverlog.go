package collect

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed serverlog/reader.sql
var readerSQL string

// LogReaderSQL is what a superuser runs on a target so that a role may read the log-ins of its log.
func LogReaderSQL(role string) string {
	return strings.ReplaceAll(readerSQL, "{role}", pgx.Identifier{role}.Sanitize())
}

// Bounds of one look at a log. What is left is read at the next one.
const (
	firstPiece   = 1 << 20   // bytes that are read at once
	largestPiece = 64 << 20  // bytes that a single record may have
	headLength   = 256       // bytes by which a file is known again
	lookBudget   = 256 << 20 // bytes that are read in one look
)

// LogPosition is how far a server's log was read. The vault keeps it; only this package looks into it.
type LogPosition struct {
	Format     string    `json:"format"` // jsonlog or csvlog
	File       string    `json:"file"`   // name in log_directory
	Offset     int64     `json:"offset"`
	Head       string    `json:"head,omitempty"` // SHA-256 of the first HeadLength bytes
	HeadLength int       `json:"head_length,omitempty"`
	Modified   time.Time `json:"modified"`         // of the file when it was read, by the target's clock
	LastAt     time.Time `json:"last_at,omitzero"` // time of the newest log-in that was read
}

// LogReading is what one look found in a server's log. From is the position as the vault gave it: what was
// read counts only if nobody read the same part meanwhile.
type LogReading struct {
	From      json.RawMessage `json:"from"` // null: the first look
	To        LogPosition     `json:"to"`
	Failures  []LoginCount    `json:"failures"`
	Successes []LoginCount    `json:"successes"`
}

// unreadable says why a log cannot be read as things stand, with the remedy; it is no failure.
type unreadable string

func (u unreadable) Error() string { return string(u) }

// ReadLog reads the log-ins that came into the server's log since a position (JSON, nil: the first look, which
// only finds the end). A log that cannot be read is Skipped with the remedy, an error Failed; where a part
// was lost or is left for the next look, Skipped says so beside the Reading.
func (t *Target) ReadLog(ctx context.Context, from json.RawMessage) SecurityResult {
	return t.readLogBy(ctx, from, serverLog.open, lookBudget)
}

// readLogBy reads at most so many bytes by a way to the log.
func (t *Target) readLogBy(ctx context.Context, from json.RawMessage, open func(serverLog, *pgx.Conn) (logSource, error), budget int64) SecurityResult {
	result := SecurityResult{Check: LogCheck}
	reading, said, err := t.readLog(ctx, from, open, budget)
	var cannot unreadable
	switch {
	case errors.As(err, &cannot):
		result.Skipped = cannot.Error()
	case err != nil:
		result.Failed = reason(err)
	default:
		result.Reading = &reading
		result.Skipped = strings.Join(said, "; ")
	}
	return result
}

// serverLog is what a server says of its log.
type serverLog struct {
	Version     int
	Destination string
	Collected   bool
	Directory   string
	DataDir     string
	Timezone    string
	PID         uint32
	Role        string
	Reader, Raw bool // functions that the role may call
	MayAsk      bool // which file is written now
	format      string
	files       []logFile // at least one, the one that is written now last
}

type logFile struct {
	Name     string
	Size     int64
	Modified time.Time
}

func (t *Target) readLog(ctx context.Context, from json.RawMessage, open func(serverLog, *pgx.Conn) (logSource, error), budget int64) (LogReading, []string, error) {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return LogReading{}, nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	defer conn.Release()
	log, err := describeLog(ctx, conn.Conn())
	if err != nil {
		return LogReading{}, nil, err
	}
	zone, err := time.LoadLocation(log.Timezone)
	if err != nil {
		return LogReading{}, nil, unreadable(fmt.Sprintf("log_timezone is %q, which the worker does not know: set it to UTC or to a name like Europe/Berlin", log.Timezone))
	}
	source, err := open(log, conn.Conn())
	if err != nil {
		return LogReading{}, nil, err
	}
	reader := logReader{source: source, format: log.format, files: log.files, budget: budget, logins: newLogins(log.format, zone)}
	return reader.read(ctx, from)
}

const describeLogSQL = `
	SELECT current_setting('server_version_num')::integer / 10000, current_setting('log_destination'), current_setting('logging_collector') = 'on',
	       current_setting('log_directory'), current_setting('data_directory'), current_setting('log_timezone'), pg_backend_pid(), current_user::text,
	       EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	                WHERE n.nspname = 'onevault' AND p.proname = 'read_logins'
	                  AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')),
	       has_function_privilege('pg_read_binary_file(text, bigint, bigint)', 'EXECUTE'), has_function_privilege('pg_current_logfile(text)', 'EXECUTE')`

// describeLog finds the log that can be read, and its files, the one that is written now last.
func describeLog(ctx context.Context, conn *pgx.Conn) (serverLog, error) {
	var (
		log     serverLog
		role    string
		mayKnow bool
	)
	if err := conn.QueryRow(ctx, "SELECT current_user::text, pg_has_role('pg_monitor', 'USAGE')").Scan(&role, &mayKnow); err != nil {
		return log, err
	}
	if !mayKnow {
		quoted := pgx.Identifier{role}.Sanitize()
		return log, unreadable(fmt.Sprintf("role %s does not see where the log is: GRANT pg_monitor TO %s", quoted, quoted))
	}
	if err := conn.QueryRow(ctx, describeLogSQL).Scan(&log.Version, &log.Destination, &log.Collected, &log.Directory, &log.DataDir,
		&log.Timezone, &log.PID, &log.Role, &log.Reader, &log.Raw, &log.MayAsk); err != nil {
		return log, err
	}
	suffix := ""
	switch destinations := splitList(log.Destination); {
	case !log.Collected:
	case slices.Contains(destinations, "jsonlog"): // PostgreSQL 15 and newer
		log.format, suffix = "jsonlog", ".json"
	case slices.Contains(destinations, "csvlog"):
		log.format, suffix = "csvlog", ".csv"
	}
	if suffix == "" {
		return log, log.cannotTell()
	}
	// Files are ordered by when they were written last, to the second, and then by their names, which tell the
	// time as a rule. Where the role may ask which one is written now, that is the last
	// (pg_monitor alone may not on PostgreSQL 15).
	var current *string
	if log.MayAsk {
		if err := conn.QueryRow(ctx, "SELECT regexp_replace(pg_current_logfile($1), '^.*[/\\\\]', '')", log.format).Scan(&current); err != nil {
			return log, err
		}
	}
	rows, err := conn.Query(ctx, "SELECT name, size, modification FROM pg_ls_logdir() WHERE right(name, length($1)) = $1 ORDER BY name IS NOT DISTINCT FROM $2, modification, name COLLATE \"C\"", suffix, current)
	if err != nil {
		return log, err
	}
	log.files, err = pgx.CollectRows(rows, pgx.RowToStructByPos[logFile])
	if err == nil && len(log.files) == 0 {
		err = unreadable(fmt.Sprintf("failed log-ins are not looked for: there is no %s file in %s yet", suffix, log.Directory))
	}
	return log, err
}

func (log serverLog) cannotTell() error {
	wanted := "jsonlog"
	if log.Version < 15 {
		wanted = "csvlog"
	}
	remedy := fmt.Sprintf("ALTER SYSTEM SET log_destination = '%s'", wanted)
	if !log.Collected {
		remedy += "; ALTER SYSTEM SET logging_collector = on; then restart the server"
	} else {
		remedy += "; SELECT pg_reload_conf()"
	}
	return unreadable(fmt.Sprintf("failed log-ins are not looked for: log_destination is %q and logging_collector %s, of which nothing can be told; %s",
		log.Destination, map[bool]string{true: "on", false: "off"}[log.Collected], remedy))
}

// open chooses the way to the log that needs the fewest rights: the file itself where the worker runs on
// the server's host, then the reader function, then the server's own function for files.
func (log serverLog) open(conn *pgx.Conn) (logSource, error) {
	directory := log.Directory
	if !filepath.IsAbs(directory) {
		directory = filepath.Join(log.DataDir, directory)
	}
	here := "the worker runs on another host"
	if backendIsHere(log.PID) {
		file, err := os.Open(filepath.Join(directory, log.files[len(log.files)-1].Name))
		if err == nil {
			return localLog(directory), file.Close()
		}
		here = "the worker's account may not: " + plain(err).Error()
	}
	switch {
	case log.Reader:
		return functionLog{conn}, nil
	case log.Raw:
		return rawLog{conn, log.Directory}, nil
	}
	return nil, unreadable(fmt.Sprintf("failed log-ins are not looked for: nobody lets OneVault read the log in %s (%s); `onevault security reader --role %s` prints what a superuser runs on the target",
		directory, here, log.Role))
}

// logSource is a way to the bytes of a log.
type logSource interface {
	// head is the SHA-256 of the first bytes of a file.
	head(ctx context.Context, file string, length int) (string, error)
	// piece reads the whole records in a piece of a file. Fewer bytes than asked for: the file ends there.
	piece(ctx context.Context, format, file string, offset int64, length int) (logPiece, error)
}

// logPiece is what was read: those records that matter, and how many bytes all whole records have.
type logPiece struct {
	records        [][]byte
	read, consumed int64
}

// localLog reads the files of a directory of this host.
type localLog string

func (dir localLog) bytes(file string, offset int64, length int) (data []byte, err error) {
	f, err := os.Open(filepath.Join(string(dir), filepath.Base(file)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data = make([]byte, length)
	n, err := f.ReadAt(data, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

func (dir localLog) head(_ context.Context, file string, length int) (string, error) {
	data, err := dir.bytes(file, 0, length)
	return digest(data), err
}

func (dir localLog) piece(_ context.Context, format, file string, offset int64, length int) (logPiece, error) {
	data, err := dir.bytes(file, offset, length)
	if err != nil {
		return logPiece{}, err
	}
	return split(format, data), nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// rawLog reads through pg_read_binary_file.
type rawLog struct {
	conn      *pgx.Conn
	directory string
}

func (l rawLog) bytes(ctx context.Context, file string, offset int64, length int) (data []byte, err error) {
	err = l.conn.QueryRow(ctx, "/* onevault log */ SELECT pg_read_binary_file($1, $2, $3)", l.directory+"/"+file, offset, int64(length)).Scan(&data)
	return data, err
}

func (l rawLog) head(ctx context.Context, file string, length int) (string, error) {
	data, err := l.bytes(ctx, file, 0, length)
	return digest(data), err
}

func (l rawLog) piece(ctx context.Context, format, file string, offset int64, length int) (logPiece, error) {
	data, err := l.bytes(ctx, file, offset, length)
	if err != nil {
		return logPiece{}, err
	}
	return split(format, data), nil
}

// functionLog reads through the function that LogReaderSQL makes, which hands out the records of log-ins alone.
type functionLog struct{ conn *pgx.Conn }

const readLoginsSQL = "/* onevault log */ SELECT coalesce(head, ''), bytes_read, bytes_consumed, records FROM onevault.read_logins($1, $2, $3, $4)"

func (l functionLog) head(ctx context.Context, file string, length int) (string, error) {
	var (
		head string
		none logPiece
	)
	err := l.conn.QueryRow(ctx, readLoginsSQL, file, 0, 0, length).Scan(&head, &none.read, &none.consumed, &none.records)
	return head, err
}

func (l functionLog) piece(ctx context.Context, _, file string, offset int64, length int) (logPiece, error) {
	var (
		head string
		p    logPiece
	)
	err := l.conn.QueryRow(ctx, readLoginsSQL, file, offset, length, 0).Scan(&head, &p.read, &p.consumed, &p.records)
	return p, err
}

// logReader follows a log from a position through the files that came after it.
type logReader struct {
	source logSource
	format string
	files  []logFile // in the order in which they were written
	budget int64
	logins *logins
	said   []string // what was lost, and what is left for the next look
}

func (r *logReader) read(ctx context.Context, from json.RawMessage) (LogReading, []string, error) {
	reading := LogReading{From: from, Failures: []LoginCount{}, Successes: []LoginCount{}} // [], not null
	position, err := parsePosition(from)
	if err != nil {
		return reading, nil, err
	}
	if position == nil {
		reading.To, err = r.end(ctx)
		return reading, nil, err
	}
	queue, err := r.queue(ctx, *position)
	if err != nil {
		return reading, nil, err
	}
	reading.To = *position
	reading.To.Format = r.format
	for i, file := range queue {
		if i > 0 {
			reading.To.Offset = 0
		} else {
			reading.To.Offset = file.offset
		}
		done, err := r.readFile(ctx, &reading.To, file.logFile)
		if err != nil {
			return reading, nil, fmt.Errorf("read %s: %w", file.Name, err)
		}
		if !done {
			behind := -reading.To.Offset
			for _, left := range queue[i:] {
				behind += left.Size
			}
			r.said = append(r.said, fmt.Sprintf("%d MB of the log are left for the next look", behind>>20))
			break
		}
	}
	if err := r.setHead(ctx, &reading.To); err != nil {
		return reading, nil, err
	}
	reading.Failures, reading.Successes = r.logins.counts()
	if r.logins.last.After(reading.To.LastAt) {
		reading.To.LastAt = r.logins.last
	}
	if r.logins.malformed > 0 {
		r.said = append(r.said, fmt.Sprintf("%d records of log-ins could not be understood", r.logins.malformed))
	}
	return reading, r.said, nil
}

// end is the first position: what stands in the log before anybody looked is no news.
func (r *logReader) end(ctx context.Context) (LogPosition, error) {
	last := r.files[len(r.files)-1]
	position := LogPosition{Format: r.format, File: last.Name, Offset: last.Size, Modified: last.Modified.UTC()}
	return position, r.setHead(ctx, &position)
}

func (r *logReader) setHead(ctx context.Context, p *LogPosition) (err error) {
	p.HeadLength = int(min(headLength, p.Offset))
	p.Head = ""
	if p.HeadLength > 0 {
		p.Head, err = r.source.head(ctx, p.File, p.HeadLength)
	}
	return err
}

type queued struct {
	logFile
	offset int64
}

// queue is what is to be read: the rest of the file of the position, and the files that came after it.
func (r *logReader) queue(ctx context.Context, p LogPosition) ([]queued, error) {
	after := func(f logFile) bool {
		return f.Modified.After(p.Modified) || f.Modified.Equal(p.Modified) && f.Name > p.File
	}
	at := slices.IndexFunc(r.files, func(f logFile) bool { return f.Name == p.File })
	switch {
	case p.Format != r.format:
		// The log is written in another format now. What both hold is counted once.
		r.logins.after = p.LastAt
		at = -1
		after = func(f logFile) bool { return !f.Modified.Before(p.Modified) }
	case at < 0:
		r.said = append(r.said, p.File+" is gone; what came into it after the last look was not read")
	}
	var list []queued
	if at >= 0 {
		offset, err := r.resume(ctx, p, r.files[at])
		if err != nil {
			return nil, err
		}
		list = append(list, queued{r.files[at], offset})
	}
	for i, f := range r.files {
		if i > at && at >= 0 || at < 0 && after(f) {
			list = append(list, queued{f, 0})
		}
	}
	return list, nil
}

// resume is where to go on in the file of a position: at its beginning where it is another file by now.
func (r *logReader) resume(ctx context.Context, p LogPosition, file logFile) (int64, error) {
	if file.Size < p.Offset {
		r.said = append(r.said, p.File+" was truncated; what came into it before, after the last look, was not read")
		return 0, nil
	}
	if p.HeadLength == 0 {
		return p.Offset, nil
	}
	head, err := r.source.head(ctx, p.File, p.HeadLength)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", p.File, err)
	}
	if head != p.Head {
		r.said = append(r.said, p.File+" is another file than at the last look; what came into the former one after that was not read")
		return 0, nil
	}
	return p.Offset, nil
}

// readFile reads a file to its end and moves the position; false: the budget ended before.
func (r *logReader) readFile(ctx context.Context, p *LogPosition, file logFile) (bool, error) {
	p.File, p.Modified = file.Name, file.Modified.UTC()
	for length := firstPiece; ; {
		if r.budget <= 0 && p.Offset < file.Size {
			return false, nil
		}
		piece, err := r.source.piece(ctx, r.format, file.Name, p.Offset, length)
		if errors.Is(err, fs.ErrNotExist) {
			r.said = append(r.said, file.Name+" was removed while it was read")
			return true, nil
		}
		if err != nil {
			return false, err
		}
		r.budget -= piece.read
		whole := piece.read == int64(length) // there may be more
		if piece.consumed == 0 && whole {
			if length < largestPiece {
				length *= 4
				continue
			}
			r.said = append(r.said, fmt.Sprintf("%s has a record of more than %d MB; what follows in it was not read", file.Name, largestPiece>>20))
			p.Offset = max(file.Size, p.Offset+piece.read)
			return true, nil
		}
		p.Offset += piece.consumed
		for _, record := range piece.records {
			r.logins.add(record)
		}
		if !whole {
			return true, nil
		}
		length = firstPiece
	}
}

func parsePosition(from json.RawMessage) (*LogPosition, error) {
	if len(from) == 0 {
		return nil, nil //nolint:nilnil // there is none yet
	}
	position := new(LogPosition)
	if err := json.Unmarshal(from, position); err != nil {
		return nil, fmt.Errorf("the position in the log is %s: %w", from, err)
	}
	return position, nil
}
