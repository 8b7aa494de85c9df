package temporalserver

import (
	"errors"
	"fmt"
	"os"

	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// keepLog is the size in bytes above which a start moves the log aside.
const keepLog = 10 << 20

// fileLogger writes warnings and worse to a file. Where Temporal would end the process ("fatal"), the
// goroutine ends and failed hears why: the rest of the process still has a database to close.
func fileLogger(path string, failed chan<- error) (log.Logger, error) {
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
	return log.NewZapLogger(zap.New(core, zap.WithFatalHook(reportFatal{path: path, failed: failed}))), nil
}

type reportFatal struct {
	path   string
	failed chan<- error
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
	zapcore.WriteThenGoexit.OnWrite(entry, fields)
}
