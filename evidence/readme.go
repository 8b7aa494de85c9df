package evidence

import (
	"fmt"
	"strings"
	"time"
)

// Readme tells a reader without OneVault what each file is and how to verify the pack.
func Readme(m Manifest) []byte {
	var out strings.Builder
	target := m.Target
	if target == "" {
		target = "all targets"
	}
	fmt.Fprintf(&out, `Evidence of OneVault: %s, %s
from %s to %s (the end is excluded)

Open index.html in a browser: it needs no network. The rest is for programs.

FILES

`, m.Framework, target, m.From.Format(time.RFC3339), m.To.Format(time.RFC3339))
	for _, f := range m.Files {
		if f.Path == ReadmeFile {
			continue
		}
		fmt.Fprintf(&out, "%s\n%s", f.Path, indent(f.About))
		if f.Rows != nil {
			fmt.Fprintf(&out, "    %d rows: %s\n", *f.Rows, strings.Join(f.Columns, ", "))
		}
		out.WriteString("\n")
	}
	for _, w := range m.Withheld {
		fmt.Fprintf(&out, "%s is not in this pack\n%s\n", w.Path, indent(w.Reason))
	}
	out.WriteString(readmeForm)
	if len(m.Missing) > 0 {
		fmt.Fprintf(&out, "\nWHAT IS MISSING\n\n%s", indent(fmt.Sprintf(
			"Rows of the period had left the vault before this export. manifest.json lists the %d archives that hold or may hold them, under \"missing\", with their files and hashes.", len(m.Missing))))
	}
	out.WriteString(readmeVerify)
	if m.SigningKey != "" {
		fmt.Fprintf(&out, readmeSignature, m.SigningKey)
	}
	return []byte(out.String())
}

const readmeForm = `FORM

    CSV in UTF-8 with a header; lines end in LF; a field with a comma, a quote or
    a line end is quoted; nothing is NULL, "" is an empty text. Times are RFC 3339
    in UTC, keys are hex, lists and objects are JSON. Import the columns of the
    CSVs as text: a spreadsheet that opens them by itself may change numbers and
    dates, and take what was recorded for a formula.

    The files below data/ tell what the vault knew at the end of the period. A row
    of a state was known from recorded_from (included) to recorded_until
    (excluded; nothing: it stood at the end of the period). The same history gives
    the same bytes: content_sha256 in manifest.json is equal for each pack of it.

    The files below vault/ and index.html tell how the vault was at the export.
`

const readmeVerify = `
HOW TO VERIFY

    In this directory, without OneVault:

        sha256sum --check SHA256SUMS        (macOS: shasum -a 256 --check SHA256SUMS)
        sha256sum manifest.json

    The first finds each file that was changed or is missing. The second must be
    the digest that was told at the export and that the vault recorded
    (monitoring.evidence_export_s): who changes a file can write new sums as well,
    and cannot change what stands elsewhere.

    With OneVault, which also finds additional files and counts the rows:

        onevault evidence verify .
        onevault evidence verify . --against-vault      (does the vault still say the same?)
`

const readmeSignature = `
    The pack is signed with ed25519. With the signer's public key, which you must
    have from the signer and not from whoever gave you the pack:

        openssl pkeyutl -verify -pubin -inkey signer.pub -rawin \
            -in manifest.json -sigfile manifest.json.sig

        onevault evidence verify . --public-key signer.pub

    The key's fingerprint is
    %s.
    A good signature proves that whoever holds the private key vouched for exactly
    this manifest, and so for all files. It does not prove when, nor that what was
    recorded is true.
`

// indent wraps a text below its heading.
func indent(text string) string {
	const width = 76
	var out strings.Builder
	line := "   "
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != "   " {
			out.WriteString(line + "\n")
			line = "   "
		}
		line += " " + word
	}
	out.WriteString(line + "\n")
	return out.String()
}
