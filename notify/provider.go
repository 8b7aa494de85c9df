package notify

import (
	"fmt"
	"net/url"
	"strings"
)

// endpoint is where a provider's interface is: its own address, or another one that the row gives in
// api_base_url. Another region of the provider is such an address; so is a stand-in for it in development.
type endpoint struct {
	url *url.URL
	// foreign: the address is not the provider's. The channel's token is sent there, so only what the
	// operator allows is reached, whatever the row says.
	foreign bool
}

// endpoint reads api_base_url; domain is the provider's own, with all hosts below it.
func (f *fields) endpoint(standard, domain string) endpoint {
	text := f.text("api_base_url")
	if text == "" {
		text = standard
	}
	u, err := parseURL("api_base_url", text)
	if err != nil {
		f.errs = append(f.errs, err)
		return endpoint{}
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		f.fail("api_base_url", "it must be scheme, host and path alone, like %s", standard)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	host := strings.ToLower(u.Hostname())
	ours := u.Scheme == "https" && (host == domain || strings.HasSuffix(host, "."+domain))
	return endpoint{url: u, foreign: !ours}
}

// guard lets a provider's own hosts be reached at public addresses, and any other host only where the
// operator's allow-list says so.
func (e endpoint) guard(o Options) addressGuard {
	g := guardFor(e.url, o)
	g.onlyAllowed = e.foreign
	return g
}

// check finds what can be found without a name service.
func (e endpoint) check(o Options) error {
	return e.guard(o).checkLiteral("api_base_url", e.url.Hostname())
}

// String names the host, for %v of a channel.
func (e endpoint) String() string { return displayURL(e.url) }

// Format keeps fmt from walking into the URL.
func (e endpoint) Format(s fmt.State, _ rune) { _, _ = fmt.Fprint(s, e.String()) } // fmt keeps the error itself
