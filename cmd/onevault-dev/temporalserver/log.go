package temporalserver

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// keepLog is the size in bytes above which a start moves the log aside.
const keepLog = 10 << 20

// fileLogger writes warnings and worse to a file. Where Temporal would end the process ("fatal"), failed
// hears why and the goroutine ends: the rest of the process still has a database to close. While building is
// true, the one goroutine that builds the server is told by a panic with errGaveUp.
func fileLogger(path string, failed chan<- error, building *atomic.Bool) (log.Logger, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > keepLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("rotate Temporal's log: %w", err)
		}
	}
	// The logger panics when it cannot open its file; an error is kinder.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open Temporal's log: %w", err)
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(log.DefaultZapEncoderConfig), zapcore.Lock(file), zapcore.WarnLevel)
	return log.NewZapLogger(zap.New(core, zap.WithFatalHook(reportFatal{path: path, failed: failed, building: building}))), nil
}

// errGaveUp is what a fatal entry panics with while the server is built; the reason was sent to failed.
var errGaveUp = errors.New("temporal gave up")

type reportFatal struct {
	path     string
	failed   chan<- error
	building *atomic.Bool
}

// OnWrite ends the goroutine that logged the entry, as the process's end would have.
func (r reportFatal) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := errors.New("no detail")
	for _, field := range fields {
		if cause, ok := field.Interface.(error); ok {
			err = cause
		}
	}
	select {
	case r.failed <- fmt.Errorf("temporal gave up (its log is %s): %s: %w", r.path, entry.Message, err):
	default: // only the first reason matters
	}
	if r.building.Load() {
		// Temporal opens its ports inside sync.OnceValue, which turns runtime.Goexit into a panic that
		// nobody can tell from others.
		panic(errGaveUp)
	}
	zapcore.WriteThenGoexit.OnWrite(entry, fields)
}
