package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onevault/vault"
)

func TestInbound_SaysHowMailsGetTheirButtons(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "link.key")
	if err := os.WriteFile(path, []byte("dGhlLWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc4OTAx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		settings InboundSettings
		status   Status
		says     string
	}{
		{InboundSettings{}, OK, "no buttons"},
		{InboundSettings{PublicURL: "https://ops.example.com", LinkKeyFile: path}, OK, "lead to https://ops.example.com"},
		{InboundSettings{PublicURL: "https://ops.example.com"}, Warn, "no key"},
		{InboundSettings{LinkKeyFile: path}, Warn, "no ONEVAULT_PUBLIC_URL"},
		{InboundSettings{PublicURL: "http://ops.example.com", LinkKeyFile: path}, Fail, "use https"},
		{InboundSettings{PublicURL: "https://ops.example.com", LinkKey: "short"}, Fail, "no key"},
		{InboundSettings{PublicURL: "https://ops.example.com", LinkKeyFile: path + "x"}, Fail, "no such file"},
	} {
		got := Inbound(c.settings)
		if got.Status != c.status || !strings.Contains(got.Detail, c.says) || (c.says != "lead to https://ops.example.com") != (got.Remedy != "") {
			t.Errorf("%+v: %+v", c.settings, got)
		}
		if strings.Contains(got.Detail, "short") || strings.Contains(got.Detail, "dGhl") {
			t.Errorf("it repeats the key: %s", got.Detail)
		}
	}
}

func TestSources_ThatMadeAllTheirDefinitionsAreTold(t *testing.T) {
	t.Parallel()
	got := judgeSources([]vault.Source{{Name: "quiet", Definitions: 1, MaxDefinitions: 2}, {Name: "loud", Definitions: 2, MaxDefinitions: 2}})
	if len(got) != 1 || got[0].Status != Warn || !strings.HasPrefix(got[0].Detail, "loud made") {
		t.Errorf("%+v", got)
	}
}
