package settings

import (
	"fmt"
	"net/netip"
	"strings"
)

// The variables that the worker and the command line read besides those of a development start.
// Temporal's own (TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TLS, profiles) are read by its own library.
const (
	TemporalNamespace = "TEMPORAL_NAMESPACE"
	TaskQueue         = "ONEVAULT_TASK_QUEUE"
	CollectEvery      = "ONEVAULT_COLLECT_EVERY"
	EvaluateEvery     = "ONEVAULT_EVALUATE_EVERY"
	DigestWithin      = "ONEVAULT_DIGEST_WITHIN"
	CircuitOpenFor    = "ONEVAULT_CIRCUIT_OPEN_FOR"
	CircuitGiveUp     = "ONEVAULT_CIRCUIT_GIVE_UP_AFTER"
	AllowedCIDRs      = "ONEVAULT_ALLOWED_CIDRS"
	ArchiveDir        = "ONEVAULT_ARCHIVE_DIR"
	ControlsDir       = "ONEVAULT_CONTROLS_DIR"
	SecretsDir        = "ONEVAULT_SECRETS_DIR"
	APIAddr           = "ONEVAULT_API_ADDR"
	InboundAddr       = "ONEVAULT_INBOUND_ADDR"
	PublicURL         = "ONEVAULT_PUBLIC_URL"
	TrustedProxies    = "ONEVAULT_TRUSTED_PROXIES"
	LinkKey           = "ONEVAULT_LINK_KEY"
	LinkKeyFile       = "ONEVAULT_LINK_KEY_FILE"
	Actor             = "ONEVAULT_ACTOR"
)

// ParseCIDRs reads the networks of AllowedCIDRs; see ParseNetworks.
func ParseCIDRs(text string) ([]netip.Prefix, error) { return ParseNetworks(AllowedCIDRs, text) }

// ParseNetworks reads networks separated by commas or spaces: 10.20.0.0/16, ::1/128. A bare address is the
// network of that one address. The error names the variable.
func ParseNetworks(variable, text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		network, err := parseCIDR(part)
		if err != nil {
			return nil, fmt.Errorf("%s holds %q: write networks like 10.20.0.0/16, separated by commas", variable, part)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func parseCIDR(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return address.Prefix(address.BitLen())
}
