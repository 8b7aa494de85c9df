package settings

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// maxLinkKeys bounds the file of the keys: some hundred of them.
const maxLinkKeys = 16 << 10

// ParsePublicURL reads the address under which others reach the API. It is https, because whoever reads a
// link on its way can follow it; only on this machine, or in a network that is allowed, it may be http. Empty
// is nil: there is none.
func ParsePublicURL(text string, allowed []netip.Prefix) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	const shape = "write the address under which others reach the API, such as https://onevault.example.com"
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s is no web address: %s", PublicURL, shape)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s has a user, a query or a fragment: %s", PublicURL, shape)
	case u.Scheme == "http" && !nearby(u.Hostname(), allowed):
		return nil, fmt.Errorf("%s is %s: use https, because whoever reads a link on its way can follow it; http is for this machine and for addresses in %s", PublicURL, u.Redacted(), AllowedCIDRs)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// nearby: this machine, or an address that is allowed. A name may lead anywhere tomorrow.
func nearby(host string, allowed []netip.Prefix) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, network := range allowed {
		if network.Contains(address.Unmap()) {
			return true
		}
	}
	return address.Unmap().IsLoopback()
}

// ReadLinkKeys returns the text of the keys that sign links: of the variable, or of the file that is named.
// Empty: none is set. No error repeats a key.
func ReadLinkKeys(value, path string) (string, error) {
	switch {
	case value != "" && path != "":
		return "", fmt.Errorf("%s and %s are both set: set one", LinkKey, LinkKeyFile)
	case path == "":
		return value, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", LinkKeyFile, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("%s: %w", LinkKeyFile, err)
	}
	// What a container runtime mounts is readable by everybody in the container.
	if mode := info.Mode().Perm(); mode&0o022 != 0 || mode&0o004 != 0 && !strings.HasPrefix(path, "/run/secrets/") {
		return "", fmt.Errorf("%s is %s, which has the mode %04o, so that others may read or change it: chmod 0600 (or 0640 for a group)", LinkKeyFile, path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxLinkKeys))
	if err != nil {
		return "", fmt.Errorf("%s: %w", LinkKeyFile, err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", errors.New(LinkKeyFile + " is " + path + ", which is empty: write one key per line, such as the output of `openssl rand -base64 32`")
	}
	return string(text), nil
}
