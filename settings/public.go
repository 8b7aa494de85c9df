package settings

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// ParsePublicURL reads the address under which others reach the API: providers that call back, people who
// press a link. Nothing is guessed from requests, because a proxy may stand in between. Empty is nil: nobody
// outside can reach us. Without https only the loopback and the networks that are allowed
// (ONEVAULT_ALLOWED_CIDRS) pass, because links and callbacks carry what others must not read.
func ParsePublicURL(text string, allowed []netip.Prefix) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%s is no web address: write one like https://onevault.example.com", PublicURL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s is %s with more behind it: write scheme, host and path alone", PublicURL, u.Scheme+"://"+u.Host)
	}
	if u.Scheme == "http" && !nearby(u.Hostname(), allowed) {
		return nil, fmt.Errorf("%s is %s: use https, or add the network of its address to %s", PublicURL, u, AllowedCIDRs)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// nearby reports whether a host is this one, or an address of an allowed network.
func nearby(host string, allowed []netip.Prefix) bool {
	if host == "localhost" {
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
	return address.IsLoopback()
}
