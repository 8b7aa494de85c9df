package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"onevault/settings"
)

// screen is where people read; it has colour on a terminal and none in a pipe.
type screen struct {
	io.Writer
	terminal bool
}

func newScreen(w io.Writer) screen {
	return screen{Writer: w, terminal: isTerminal(w)}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != "null"
}

// paint wraps text in a colour where that is wanted (https://no-color.org).
func (s screen) paint(code, text string) string {
	if !s.terminal || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s screen) bold(text string) string { return s.paint("1", text) }

// ready says where everything is and what to try next.
func (s screen) ready(st *stack) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s after %s\n\n", s.bold(s.paint("32", "OneVault is ready")), time.Since(st.started).Round(100*time.Millisecond))
	line := func(what, where string) { fmt.Fprintf(&b, "  %-12s %s\n", what, where) }
	if st.uiURL != "" {
		line("Temporal UI", s.paint("36", st.uiURL))
	}
	line("Inbox", s.paint("36", st.inbox.HTTPURL())+"   what OneVault sent, as its receivers see it")
	if st.apiURL != "" {
		line("API", s.paint("36", st.apiURL)+"   /healthz /readyz /metrics")
	}
	line("Temporal", st.temporalAddress)
	line("Database", databaseLine(st))
	line("Data, logs", st.dir.path)
	fmt.Fprintf(&b, "\nTry next, in another terminal:\n\n")
	if st.options.ephemeral {
		fmt.Fprintf(&b, "  set -a; . %s; set +a\n", settings.EnvFile(st.dir.path))
	}
	for _, command := range [][2]string{
		{"make demo", "make a real condition true and see what happens, step by step"},
		{besides("onevault") + " alert list", "what is open"},
		{besides("onevault") + " doctor", "whether an alert would reach somebody"},
	} {
		fmt.Fprintf(&b, "  %-30s %s\n", command[0], command[1])
	}
	end := "the data stays"
	if st.options.ephemeral {
		end = "the data goes"
	}
	work := fmt.Sprintf("Collecting and evaluating every %s.", cadence)
	if st.options.noWorker {
		work = "No worker runs: nothing is collected until one is started."
	}
	fmt.Fprintf(&b, "\n%s Ctrl-C ends everything; %s.\n", work, end)
	fmt.Fprint(s, b.String())
}

// databaseLine is a psql command that works. The password stays in the file that its owner can read.
func databaseLine(st *stack) string {
	if st.options.databaseURL != "" {
		return hostOf(st.databaseURL) + "   yours, by ONEVAULT_DATABASE_URL"
	}
	return fmt.Sprintf(`(. %s; psql "$ONEVAULT_DATABASE_URL")`, settings.EnvFile(st.dir.path))
}

// hostOf is the part of a URL that holds no secret.
func hostOf(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "a PostgreSQL"
	}
	return u.Host + u.Path
}

func (s screen) note(text string) { fmt.Fprintln(s, text) }
