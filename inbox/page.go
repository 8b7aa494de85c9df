package inbox

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed page.html
var page string

// pagePolicy lets exactly one script run, the page's own, known by its hash. Frames inherit the policy:
// even without their sandbox no message could run a script, load an image from outside (which would
// tell a sender that it was read) or be sent away by a form.
var pagePolicy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'sha256-" + scriptHash(page) + "'",
	"style-src 'unsafe-inline'", // e-mail is styled by attributes
	"img-src data:",
	"connect-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
}, "; ")

func scriptHash(page string) string {
	_, rest, _ := strings.Cut(page, "<script>")
	script, _, _ := strings.Cut(rest, "</script>")
	sum := sha256.Sum256([]byte(script))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s *Server) getPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	s.write(w, page)
}
