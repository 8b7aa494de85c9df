package collect

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// LoginCount counts log-ins of one user into one database from one address: those that failed within an
// hour, or those that succeeded.
type LoginCount struct {
	Source   string         `json:"source"` // address, name where the server logs names, or "local"
	User     string         `json:"username"`
	Database string         `json:"database"`
	Count    int64          `json:"count"`
	First    time.Time      `json:"first"`
	Last     time.Time      `json:"last"`
	Codes    map[string]int `json:"codes,omitempty"` // how often with which SQLSTATE
}

// others stands for the users and databases beyond maxCounts: an attacker may make up as many as he likes.
const (
	others    = "(others)"
	maxCounts = 1000
)

// split takes the whole records out of bytes of a log: those that may be of a log-in, and the length of all.
func split(format string, data []byte) logPiece {
	p := logPiece{read: int64(len(data))}
	if format == "csvlog" {
		return splitCSV(p, data)
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	p.consumed = int64(end)
	for line := range bytes.SplitSeq(data[:end], []byte{'\n'}) {
		if concernsLogin(line) {
			p.records = append(p.records, line)
		}
	}
	return p
}

// splitCSV leaves to encoding/csv where a record ends: it may have lines.
func splitCSV(p logPiece, data []byte) logPiece {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	for {
		// An error is the end of the bytes, or a record whose quote is not closed yet.
		if _, err := r.Read(); err != nil {
			return p
		}
		end := r.InputOffset()
		if data[end-1] != '\n' {
			return p
		}
		if record := data[p.consumed:end]; concernsLogin(record) {
			p.records = append(p.records, record)
		}
		p.consumed = end
	}
}

var (
	fatal      = []byte("FATAL")
	authorized = []byte("connection authorized: ")
)

func concernsLogin(record []byte) bool {
	return bytes.Contains(record, fatal) || bytes.Contains(record, authorized)
}

// logRecord is a record of a log as far as a log-in is told by it.
type logRecord struct {
	Timestamp string `json:"timestamp"`
	User      string `json:"user"`
	Database  string `json:"dbname"`
	Host      string `json:"remote_host"`
	Severity  string `json:"error_severity"`
	Code      string `json:"state_code"`
	Message   string `json:"message"`
}

func parseRecord(format string, record []byte) (logRecord, error) {
	var r logRecord
	if format == "jsonlog" {
		return r, json.Unmarshal(record, &r)
	}
	fields, err := csv.NewReader(bytes.NewReader(record)).Read()
	if err != nil {
		return r, err
	}
	if len(fields) < 23 { // as many as PostgreSQL 13 writes
		return r, fmt.Errorf("a record of csvlog has %d fields", len(fields))
	}
	r = logRecord{Timestamp: fields[0], User: fields[1], Database: fields[2], Host: fields[4], Severity: fields[11], Code: fields[12], Message: fields[13]}
	if port := strings.LastIndexByte(r.Host, ':'); port >= 0 {
		r.Host = r.Host[:port]
	}
	return r, nil
}

// failed reports whether the record tells of a log-in that was refused: by password or rule (class 28), for a
// database that does not exist, or for want of the right to connect.
func (r logRecord) failed() bool {
	return r.Severity == "FATAL" && (strings.HasPrefix(r.Code, "28") || r.Code == "3D000" || r.Code == "42501")
}

func (r logRecord) succeeded() bool {
	return r.Severity == "LOG" && strings.HasPrefix(r.Message, "connection authorized: ")
}

type loginKey struct {
	source, user, database string
	hour                   time.Time // zero: of any
}

// logins counts the log-ins of the records that it is given.
type logins struct {
	format              string
	zone                *time.Location
	after               time.Time // earlier records were counted before
	failures, successes map[loginKey]*LoginCount
	last                time.Time
	malformed           int
}

func newLogins(format string, zone *time.Location) *logins {
	return &logins{format: format, zone: zone, failures: map[loginKey]*LoginCount{}, successes: map[loginKey]*LoginCount{}}
}

func (l *logins) add(record []byte) {
	r, err := parseRecord(l.format, record)
	if err != nil {
		l.malformed++
		return
	}
	failed := r.failed()
	if !failed && !r.succeeded() {
		return
	}
	at, err := l.moment(r.Timestamp)
	if err != nil {
		l.malformed++
		return
	}
	if !at.After(l.after) {
		return
	}
	if at.After(l.last) {
		l.last = at
	}
	key := loginKey{source: cleaned(r.Host), user: cleaned(r.User), database: cleaned(r.Database)}
	if key.source == "" || key.source == "[local]" {
		key.source = "local"
	}
	if failed {
		key.hour = at.Truncate(time.Hour)
		count(l.failures, key, at, r.Code)
	} else {
		count(l.successes, key, at, "")
	}
}

// cleaned bounds what a client says of itself, and makes it text.
func cleaned(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200])
	}
	return text
}

func count(counts map[loginKey]*LoginCount, key loginKey, at time.Time, code string) {
	c := counts[key]
	if c == nil && len(counts) >= maxCounts {
		key.user, key.database = others, others
		if len(counts) >= 2*maxCounts {
			key.source = others
		}
		c = counts[key]
	}
	if c == nil {
		c = &LoginCount{Source: key.source, User: key.user, Database: key.database, First: at, Last: at}
		if code != "" {
			c.Codes = map[string]int{}
		}
		counts[key] = c
	}
	c.Count++
	if code != "" {
		c.Codes[code]++
	}
	if at.Before(c.First) {
		c.First = at
	}
	if at.After(c.Last) {
		c.Last = at
	}
}

// moment reads a time as the log writes it: in the server's log_timezone, with its abbreviation.
func (l *logins) moment(text string) (time.Time, error) {
	at, err := time.ParseInLocation("2006-01-02 15:04:05.000 MST", text, l.zone)
	if err != nil {
		return time.Time{}, err
	}
	// An abbreviation that the zone does not have is read as if it were UTC: the zone was another one then.
	if name, offset := at.Zone(); offset == 0 && name != "UTC" && at.Location() != l.zone {
		return time.Time{}, errors.New("the time zone " + name + " is not of log_timezone")
	}
	return at.UTC(), nil
}

// counts are the failures and the successes, in an order that does not depend on chance.
func (l *logins) counts() (failures, successes []LoginCount) {
	return sorted(l.failures), sorted(l.successes)
}

func sorted(counts map[loginKey]*LoginCount) []LoginCount {
	list := make([]LoginCount, 0, len(counts))
	for c := range maps.Values(counts) {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b LoginCount) int {
		return cmp.Or(a.First.Compare(b.First), strings.Compare(a.Source, b.Source), strings.Compare(a.User, b.User), strings.Compare(a.Database, b.Database))
	})
	return list
}
