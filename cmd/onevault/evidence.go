package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/activities"
	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/evidence"
	"onevault/vault"
)

func (a *app) evidenceCommand() *cobra.Command {
	return noun("evidence", "Export evidence for an audit, and verify it",
		a.evidenceExportCommand(), a.evidenceVerifyCommand(), a.evidenceListCommand(), a.evidenceKeygenCommand())
}

const evidenceExportHelp = `Export what an auditor asks for, of one framework and one period: its controls with their history, the alerts
with who was told and who answered, incidents, security events, whether anybody looked, who changed what is
watched, and how the vault is kept from being changed. docs/evidence.md tells of each file.

--from and --to are days in UTC, both included, or moments such as 2026-03-31T18:00:00Z, and then --to is
excluded. The files tell what the vault knew at the end of the period: exported again they are the same. What
has left the vault is not passed over: the pack names the archives that hold it.

The export is recorded in the vault before the pack is handed out.`

func (a *app) evidenceExportCommand() *cobra.Command {
	var (
		in                 activities.ExportEvidenceInput
		from, to, signWith string
	)
	cmd := &cobra.Command{
		Use:   "export --framework FRAMEWORK --from DATE --to DATE",
		Short: "Write a pack of evidence: files, an index to read and print, and a manifest of their hashes",
		Long:  evidenceExportHelp,
		Example: "  onevault evidence export --framework sox --from 2026-01-01 --to 2026-03-31\n" +
			"  onevault evidence export --framework pci-dss --from 2026-01-01 --to 2026-03-31 --target pg-prod-3 --out q1.tar.zst --sign-key audit.key",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.evidencePeriod(&in.Period, from, to); err != nil {
				return usage(err)
			}
			if signWith != "" {
				key, err := evidence.ReadPrivateKey(signWith)
				if err != nil {
					return keyFailure(err)
				}
				in.Key = key
			}
			return a.exportEvidence(cmd.Context(), in)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.Period.Framework, "framework", "", "hipaa, gdpr, sox, pci-dss, soc2, or one of your own")
	flags.StringVar(&from, "from", "", "the first day of the period, 2026-01-01, or its first moment")
	flags.StringVar(&to, "to", "", "the last day of the period, 2026-03-31, or the moment at which it ends")
	flags.StringVar(&in.Period.Target, "target", "", "only of this target (default all)")
	flags.StringVar(&in.Out, "out", "", "a directory, or a file that ends in .tar.zst; neither may exist (default evidence-<framework>-<from>-<to>)")
	flags.StringVar(&signWith, "sign-key", "", "sign the manifest with this private key; see `onevault evidence keygen`")
	return cmd
}

// evidencePeriod reads the two ends of a period.
func (a *app) evidencePeriod(p *vault.EvidencePeriod, from, to string) error {
	if p.Framework == "" {
		return errors.New("--framework is missing: name one, such as sox")
	}
	var err error
	if p.From, _, err = evidenceMoment("--from", from); err != nil {
		return err
	}
	var day bool
	if p.To, day, err = evidenceMoment("--to", to); err != nil {
		return err
	}
	if day {
		p.To = p.To.AddDate(0, 0, 1)
	}
	if !p.From.Before(p.To) {
		return fmt.Errorf("--from %s is not before --to %s", from, to)
	}
	if now := a.now(); p.To.After(now) {
		return fmt.Errorf("--to %s lies ahead: the period ends at %s, and a pack of it would be another one then; use a day that is over, or a moment such as %s",
			to, p.To.Format(time.RFC3339), now.UTC().Truncate(time.Minute).Format(time.RFC3339))
	}
	return nil
}

// evidenceMoment reads a day in UTC, or a moment.
func evidenceMoment(flag, text string) (at time.Time, day bool, err error) {
	if text == "" {
		return at, false, fmt.Errorf("%s is missing: write a day such as 2026-01-01", flag)
	}
	if at, err = time.Parse(time.DateOnly, text); err == nil {
		return at, true, nil
	}
	if at, err = time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC().Truncate(time.Microsecond), false, nil
	}
	return at, false, fmt.Errorf("%s is %q: write a day such as 2026-01-01, or a moment such as 2026-01-01T06:00:00Z", flag, text)
}

func (a *app) exportEvidence(ctx context.Context, in activities.ExportEvidenceInput) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	framework, known, err := activities.EvidenceFramework(ctx, store, in.Period.Framework)
	if err != nil {
		return err
	}
	if framework == "" {
		return &failure{exitNotFound, fmt.Sprintf("no control has a clause of framework %q", in.Period.Framework), "use one of: " + strings.Join(known, ", ")}
	}
	in.Period.Framework = framework
	if in.Out == "" {
		in.Out = fmt.Sprintf("evidence-%s-%s-%s", strings.ToLower(strings.ReplaceAll(framework, " ", "-")),
			in.Period.From.Format(time.DateOnly), in.Period.To.Add(-time.Microsecond).Format(time.DateOnly))
	}
	var who alert.Command
	if err := a.signCommand(&who); err != nil {
		return err
	}
	in.Via, in.OneVault, in.Progress = who.Via, thisBuild().Version, a.evidenceProgress()
	out, err := activities.ExportEvidence(ctx, store, in)
	var period *activities.PeriodError
	switch {
	case errors.As(err, &period):
		return &failure{exitUsage, period.Reason, "end the period earlier"}
	case err != nil:
		return err
	}
	return a.printEvidence(in.Out, out)
}

// evidenceProgress shows on a terminal which file grows.
func (a *app) evidenceProgress() func(path string, rows int64, finished bool) {
	if !a.errIsTerminal || a.printer().Structured() {
		return func(string, int64, bool) {}
	}
	return func(path string, rows int64, finished bool) {
		if finished {
			fmt.Fprintf(a.errOut, "\r\033[K%10d  %s\n", rows, path)
			return
		}
		fmt.Fprintf(a.errOut, "\r\033[K%10d  %s ...", rows, path)
	}
}

// shownEvidence is an export as -o json prints it.
type shownEvidence struct {
	Path           string            `json:"path"`
	ManifestSHA256 string            `json:"manifest_sha256"`
	Manifest       evidence.Manifest `json:"manifest"`
}

func (a *app) printEvidence(path string, out activities.ExportedEvidence) error {
	p, m := a.printer(), out.Manifest
	if p.Structured() {
		return p.Value(shownEvidence{path, out.ManifestSHA256, m})
	}
	if p.Format == output.Name {
		_, err := fmt.Fprintln(a.out, path)
		return err
	}
	fmt.Fprintf(a.out, "exported %s: %d files, %d rows\n", output.Printable(path), len(m.Files), m.Rows)
	signed := output.None
	if m.SigningKey != "" {
		signed = m.SigningKey
	}
	if err := p.Pairs([][2]string{
		{"framework", m.Framework},
		{"period", m.From.Format(time.RFC3339) + " to " + m.To.Format(time.RFC3339)},
		{"tenants", m.Vault.Scope},
		{"digest", out.ManifestSHA256 + " (of manifest.json; recorded in the vault)"},
		{"content", m.ContentSHA256},
		{"signed with", signed},
	}); err != nil {
		return err
	}
	for _, x := range m.Missing {
		a.note("not in it: %d rows of %s, %s to %s; they left the vault as archive %s", x.Rows, x.Table, x.From.Format(time.DateOnly), x.To.Format(time.DateOnly), x.Archive)
	}
	for _, w := range m.Withheld {
		a.note("not in it: %s; %s", output.Printable(w.Path), output.Printable(w.Reason))
	}
	return nil
}

func (a *app) evidenceVerifyCommand() *cobra.Command {
	var (
		publicKey    string
		againstVault bool
	)
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Compare a pack with its manifest: changed, missing and additional files, and rows; exit code 1 where it differs",
		Long: `Read a whole pack, a directory or a .tar.zst, and compare it with its manifest. This finds what was damaged or
changed by somebody who did not write a new manifest; the digest of the manifest itself, which is printed, must be
the one that was told at the export. --against-vault looks it up and reads the period's rows again; --public-key
checks the signature.`,
		Example: "  onevault evidence verify evidence-sox-2026-01-01-2026-03-31\n  onevault evidence verify q1.tar.zst --public-key audit.key.pub --against-vault",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var key ed25519.PublicKey
			if publicKey != "" {
				var err error
				if key, err = evidence.ReadPublicKey(publicKey); err != nil {
					return keyFailure(err)
				}
			}
			v, err := evidence.Verify(args[0], key)
			if errors.Is(err, fs.ErrNotExist) {
				return &failure{exitNotFound, err.Error(), "give the directory or the .tar.zst that `onevault evidence export` wrote"}
			}
			if err != nil {
				return &failure{exitError, err.Error(), "give the directory or the .tar.zst that `onevault evidence export` wrote"}
			}
			shown := shownVerification{
				Path: args[0], ManifestSHA256: v.ManifestSHA256, Framework: v.Manifest.Framework, From: v.Manifest.From, To: v.Manifest.To, Files: len(v.Manifest.Files),
				Rows: v.Manifest.Rows, Complete: v.Manifest.Complete, SigningKey: v.Manifest.SigningKey, Signed: v.Signed, Problems: v.Problems,
			}
			if againstVault {
				if err := a.compareEvidence(cmd.Context(), v, &shown); err != nil {
					return err
				}
			}
			return a.printVerification(shown)
		},
	}
	cmd.Flags().StringVar(&publicKey, "public-key", "", "demand a signature of this key")
	cmd.Flags().BoolVar(&againstVault, "against-vault", false, "also read the period's rows from the vault again, and look the export up")
	return cmd
}

func (a *app) compareEvidence(ctx context.Context, v evidence.Verification, shown *shownVerification) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	same, problems, err := activities.CompareEvidence(ctx, store, v.Manifest, v.ManifestSHA256)
	var incomparable *activities.PeriodError
	if errors.As(err, &incomparable) {
		return &failure{exitError, incomparable.Reason, "ask as a role that sees what the exporting one saw"}
	}
	if err != nil {
		return err
	}
	shown.VaultSame, shown.Problems = &same, append(shown.Problems, problems...)
	return nil
}

// shownVerification is what `evidence verify` found, as -o json prints it.
type shownVerification struct {
	Path           string    `json:"path"`
	ManifestSHA256 string    `json:"manifest_sha256"`
	Framework      string    `json:"framework"`
	From           time.Time `json:"period_from"`
	To             time.Time `json:"period_to"`
	Files          int       `json:"files"`
	Rows           int64     `json:"rows"`
	Complete       bool      `json:"complete"`
	SigningKey     string    `json:"signing_key,omitempty"`
	Signed         bool      `json:"signature_verified"`
	VaultSame      *int      `json:"files_equal_in_vault,omitempty"` // absent: the vault was not asked
	Problems       []string  `json:"problems"`
}

func (a *app) printVerification(v shownVerification) error {
	p := a.printer()
	switch {
	case p.Structured():
		v.Problems = append([]string{}, v.Problems...)
		if err := p.Value(v); err != nil {
			return err
		}
	case p.Format == output.Name:
		fmt.Fprintln(a.out, v.ManifestSHA256)
	default:
		verdict := output.Cell{Text: "unharmed", Style: output.Good}
		if len(v.Problems) > 0 {
			verdict = output.Cell{Text: strconv.Itoa(len(v.Problems)) + " " + plural(len(v.Problems), "problem"), Style: output.Bad}
		}
		fmt.Fprintf(a.out, "%s: %s\n", output.Printable(v.Path), p.Paint(verdict))
		pairs := [][2]string{
			{"evidence", fmt.Sprintf("%s, %s to %s", v.Framework, v.From.Format(time.RFC3339), v.To.Format(time.RFC3339))},
			{"files", fmt.Sprintf("%d, with %d rows", v.Files, v.Rows)},
			{"digest", v.ManifestSHA256 + " (of manifest.json)"},
			{"signature", signatureWords(v)},
			{"complete", completeWords(v.Complete)},
		}
		if v.VaultSame != nil {
			pairs = append(pairs, [2]string{"vault", fmt.Sprintf("%d files of the period are as the vault says now", *v.VaultSame)})
		}
		if err := p.Pairs(pairs); err != nil {
			return err
		}
		for _, problem := range v.Problems {
			fmt.Fprintln(a.out, "  "+output.Printable(problem))
		}
	}
	if len(v.Problems) > 0 {
		return &silent{exitError}
	}
	return nil
}

func signatureWords(v shownVerification) string {
	switch {
	case v.Signed:
		return "good, of key " + v.SigningKey
	case v.SigningKey == "":
		return "none"
	}
	return "of key " + v.SigningKey + ", not checked: give --public-key"
}

func completeWords(complete bool) string {
	if complete {
		return "yes"
	}
	return "no; the index says what had left the vault or was withheld"
}

func (a *app) evidenceListCommand() *cobra.Command {
	return listing[vault.ListedEvidence]{
		short: "List the evidence that was exported: of what, by whom, and the digest of its manifest",
		rows: func(ctx context.Context, store *vault.Store, _ bool) ([]vault.ListedEvidence, error) {
			return store.EvidenceExports(ctx)
		},
		columns: func(time.Time) []output.Column[vault.ListedEvidence] { return evidenceColumns() },
		name:    func(e vault.ListedEvidence) string { return e.ManifestSHA256 },
		none:    "no evidence was exported from this vault",
	}.command(a)
}

func evidenceColumns() []output.Column[vault.ListedEvidence] {
	type row = vault.ListedEvidence
	return []output.Column[row]{
		{Name: "EXPORTED", Cell: func(e row) output.Cell { return output.Text(output.Moment(e.At)) }},
		{Name: "FRAMEWORK", Cell: func(e row) output.Cell { return output.Text(e.Framework) }},
		{Name: "TARGET", Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.Target)) }},
		{Name: "FROM", Cell: func(e row) output.Cell { return output.Text(output.Moment(e.From)) }},
		{Name: "TO", Cell: func(e row) output.Cell { return output.Text(output.Moment(e.To)) }},
		{Name: "COMPLETE", Cell: func(e row) output.Cell { return output.Text(strconv.FormatBool(e.Complete)) }},
		{Name: "BY", Cell: func(e row) output.Cell { return output.Text(e.By) }},
		{Name: "VIA", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.Via)) }},
		{Name: "ROWS", Wide: true, Cell: func(e row) output.Cell { return output.Text(strconv.FormatInt(e.Rows, 10)) }},
		{Name: "SIGNED WITH", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.SigningKey)) }},
		{Name: "DIGEST", Cell: func(e row) output.Cell { return output.Text(e.ManifestSHA256) }},
	}
}

func (a *app) evidenceKeygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make an ed25519 key for signing: FILE (private) and FILE.pub (public)",
		Long: `Make a pair of keys: FILE, which signs and nobody else may read, and FILE.pub, which verifies and is for everybody.

A signature proves that whoever holds FILE vouched for exactly that pack. So keep FILE where those who could change
the vault cannot get it, and give FILE.pub to auditors by another way than the packs.`,
		Example: "  onevault evidence keygen audit.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			private := filepath.Clean(args[0])
			fingerprint, err := evidence.NewKey(private, private+".pub")
			if errors.Is(err, fs.ErrExist) {
				return &failure{exitError, err.Error(), "name another file: a key is not written over"}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "made %s (keep it private) and %s.pub\n  fingerprint %s\n", output.Printable(private), output.Printable(private), fingerprint)
			return nil
		},
	}
}

func keyFailure(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{exitNotFound, err.Error(), "make keys with `onevault evidence keygen FILE`"}
	}
	return &failure{exitError, err.Error(), ""}
}
