package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/activities"
	"onevault/cmd/onevault/output"
	"onevault/collect"
	"onevault/settings"
	"onevault/vault"
)

func (a *app) targetCommand() *cobra.Command {
	cmd := noun("target", "See, check, add and remove the PostgreSQL servers that are watched",
		a.targets().command(a), a.targetCheckCommand(), a.targetAddCommand(), a.targetChangeCommand(), a.targetRemoveCommand())
	cmd.Long = `The vault's own server is the target "local" and always watched. Any number of others can be added; workers
begin within seconds, without a restart. A target's row holds no secret: it names a variable or a file of the workers.`
	return cmd
}

// addressFlags say where a target is.
type addressFlags struct {
	passwordEnv, passwordFile, urlEnv, urlFile, sslMode, sslRootCert string
}

func (f *addressFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.passwordEnv, "password-env", "", "the workers' variable that holds the password, such as PGPASS_PROD")
	flags.StringVar(&f.passwordFile, "password-file", "", "the file that holds the password, such as /etc/onevault/prod.pass (mode 0600)")
	flags.StringVar(&f.urlEnv, "url-env", "", "instead of URL: the workers' variable that holds the whole address, password included")
	flags.StringVar(&f.urlFile, "url-file", "", "instead of URL: the file that holds it")
	flags.StringVar(&f.sslMode, "sslmode", "", "verify-full, verify-ca, require, prefer, allow or disable, as in the URL's parameter")
	flags.StringVar(&f.sslRootCert, "sslrootcert", "", "the file with the certificates of those who may vouch for the server")
}

// address puts flags and URL together.
func (f *addressFlags) address(text string) (collect.Address, error) {
	address := collect.Address{URL: text, PasswordEnv: f.passwordEnv, PasswordFile: f.passwordFile, URLEnv: f.urlEnv, URLFile: f.urlFile}
	if f.sslMode != "" || f.sslRootCert != "" {
		parsed, err := url.Parse(text)
		if err != nil || text == "" {
			return address, usage(errors.New("--sslmode and --sslrootcert go with a URL: postgres://user@host:5432/database"))
		}
		query := parsed.Query()
		for name, value := range map[string]string{"sslmode": f.sslMode, "sslrootcert": f.sslRootCert} {
			if value != "" {
				query.Set(name, value)
			}
		}
		parsed.RawQuery = query.Encode()
		address.URL = parsed.String()
	}
	return address, nil
}

// checked is an address that can be used; what cannot is an error of usage, whose text repeats no password.
func (f *addressFlags) checked(text string) (collect.Address, error) {
	address, err := f.address(text)
	if err != nil {
		return address, err
	}
	if err := address.Validate(); err != nil {
		return address, &failure{code: exitUsage, message: err.Error(), remedy: "for example: onevault target add shop postgres://watcher@db.example.com/shop --password-env PGPASS_SHOP"}
	}
	return address, nil
}

func second(args []string) string {
	if len(args) > 1 {
		return args[1]
	}
	return ""
}

func (a *app) targetAddCommand() *cobra.Command {
	var (
		flags   addressFlags
		t       vault.Target
		who     string
		noCheck bool
	)
	cmd := &cobra.Command{
		Use:   "add NAME [URL]",
		Short: "Have a server watched, and check it from here",
		Long: `Have a server watched. The URL has no password: it would stand in the shell's history and in a row. Say where
it is with --password-env or --password-file, or give the whole address with --url-env or --url-file; variables and
files are the workers'. Files lie below /run/secrets, /etc/onevault or $` + settings.SecretsDir + `. Afterwards the target is
checked from here, if its secret is here as well; what that finds changes nothing.`,
		Example: "  onevault target add shop postgres://watcher@db.example.com/shop --sslmode verify-full --password-env PGPASS_SHOP\n" +
			"  onevault target add billing --url-file /etc/onevault/billing.url --tenant ORG1 --collect-every 1m",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := flags.checked(second(args))
			if err != nil {
				return err
			}
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			t.Name = args[0]
			t.URL, t.PasswordEnv, t.PasswordFile, t.URLEnv, t.URLFile = address.URL, address.PasswordEnv, address.PasswordFile, address.URLEnv, address.URLFile
			if err := store.AddTarget(cmd.Context(), t, by); err != nil {
				return err
			}
			a.note("added %s; workers begin within seconds: onevault target list", t.Name)
			if noCheck {
				return nil
			}
			_, err = a.showCheck(cmd.Context(), t.Name, address)
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&t.Tenant, "tenant", "", "the tenant (tenant_bk) whose readers alone see what is measured on it")
	cmd.Flags().DurationVar(&t.CollectEvery, "collect-every", 0, "how often to measure it, 5s to 5m (default as the workers)")
	cmd.Flags().StringVar(&t.Description, "description", "", "what it is, and whom to ask about it")
	cmd.Flags().BoolVar(&noCheck, "no-check", false, "do not connect to it from here")
	a.actorFlag(cmd, &who)
	return cmd
}

func (a *app) targetChangeCommand() *cobra.Command {
	var (
		flags           addressFlags
		who, text       string
		every           time.Duration
		enable, disable bool
	)
	cmd := &cobra.Command{
		Use:   "change NAME [URL]",
		Short: "Change where a target is or how often it is measured, disable or enable it",
		Long: `Change what is given and leave the rest. A target that is disabled is not looked at: its schedules are paused and its
open alerts stay as they are. Workers follow within seconds.`,
		Example: "  onevault target change shop --password-file /etc/onevault/shop.pass\n  onevault target change shop --disable",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := changeOf(cmd, flags, second(args))
			if err != nil {
				return err
			}
			if enable && disable {
				return usage(errors.New("--enable and --disable are both given: give one"))
			}
			if enable || disable {
				change.Enabled = &enable
			}
			if cmd.Flags().Changed("description") {
				change.Description = &text
			}
			if cmd.Flags().Changed("collect-every") {
				change.CollectEvery = &every
			}
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			changed, err := store.ChangeTarget(cmd.Context(), args[0], change, by)
			if err != nil {
				return err
			}
			if !changed {
				fmt.Fprintln(a.out, args[0]+" stands like this already")
				return nil
			}
			fmt.Fprintln(a.out, "changed "+args[0])
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&enable, "enable", false, "watch it again")
	cmd.Flags().BoolVar(&disable, "disable", false, "do not watch it for now")
	cmd.Flags().DurationVar(&every, "collect-every", 0, "how often to measure it, 5s to 5m; 0: as the workers")
	cmd.Flags().StringVar(&text, "description", "", "what it is, and whom to ask about it")
	a.actorFlag(cmd, &who)
	return cmd
}

// changeOf is the part of a change that says where the target is. What does not go together with what stays is
// for the vault to say; what holds a password is refused here, before it is sent anywhere.
func changeOf(cmd *cobra.Command, flags addressFlags, text string) (vault.TargetChange, error) {
	var change vault.TargetChange
	if text == "" && (flags.sslMode != "" || flags.sslRootCert != "") {
		return change, usage(errors.New("--sslmode and --sslrootcert go with a URL: postgres://user@host:5432/database"))
	}
	if text != "" {
		address, err := flags.checked(text)
		if err != nil {
			return change, err
		}
		change.URL = &address.URL
	}
	for name, field := range map[string]struct {
		value  *string
		change **string
	}{
		"password-env": {&flags.passwordEnv, &change.PasswordEnv}, "password-file": {&flags.passwordFile, &change.PasswordFile},
		"url-env": {&flags.urlEnv, &change.URLEnv}, "url-file": {&flags.urlFile, &change.URLFile},
	} {
		if cmd.Flags().Changed(name) {
			*field.change = field.value
		}
	}
	return change, nil
}

func (a *app) targetRemoveCommand() *cobra.Command {
	var (
		who string
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Watch a server no more; its history stays, its open alerts end",
		Long: `Watch a server no more. Its schedules are deleted. Its open alerts end as resolved by "target removed", and who was told
of them is told so. All that was measured and decided stays in the vault; a target that is added again under the same name
goes on with it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			found, err := a.findTarget(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !yes && found.Name != activities.LocalTarget { // which the vault refuses
				if err := a.confirm(fmt.Sprintf("watch %s no more, and end its %d open alerts", found.Name, found.OpenAlerts)); err != nil {
					return err
				}
			}
			ended, err := store.RemoveTarget(cmd.Context(), args[0], by)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "removed %s; %d alerts ended with it\n", found.Name, ended)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	a.actorFlag(cmd, &who)
	return cmd
}

// findTarget is a target that was not removed; upper and lower case mean the same.
func (a *app) findTarget(ctx context.Context, name string) (vault.ListedTarget, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return vault.ListedTarget{}, err
	}
	list, err := store.Targets(ctx, false)
	if err != nil {
		return vault.ListedTarget{}, err
	}
	for _, t := range list {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
	}
	return vault.ListedTarget{}, &failure{exitNotFound, fmt.Sprintf("no target %q", name), "see `onevault target list`"}
}

// ---------------------------------------------------------------- list

// shownTarget is a target as its list shows it.
type shownTarget struct {
	vault.Target
	Watched       string     `json:"watched"` // OK, UNREACHABLE, WAITING (for its first sample), NO_SAMPLES, DISABLED, REMOVED
	Reason        string     `json:"reason,omitempty"`
	ServerVersion string     `json:"server_version,omitempty"`
	LastSampleAt  *time.Time `json:"last_sample_at,omitempty"`
	EverySeconds  int        `json:"collect_every_seconds,omitempty"` // absent: as the workers' setting says
	OpenAlerts    int        `json:"open_alerts"`
}

func showTarget(t vault.ListedTarget, now time.Time) shownTarget {
	s := shownTarget{Target: t.Target, OpenAlerts: t.OpenAlerts, ServerVersion: serverVersionText(t.ServerVersion), EverySeconds: int(t.CollectEvery / time.Second)}
	if !t.LastSampleAt.IsZero() {
		s.LastSampleAt = &t.LastSampleAt
	}
	switch {
	case t.State != vault.TargetEnabled:
		s.Watched = t.State
	case t.Silent(now):
		s.Watched, s.Reason = "NO_SAMPLES", "no worker has measured it for two rounds"
	case t.Reachable == nil:
		s.Watched = "WAITING"
	case !*t.Reachable:
		s.Watched, s.Reason = "UNREACHABLE", strings.TrimPrefix(t.Reason, "reach target "+t.Name+": ")
	default:
		s.Watched = "OK"
	}
	return s
}

// serverVersionText is 15.18 of 150018; empty where it is not known.
func serverVersionText(number int) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", number/10000, number%10000)
}

func (a *app) targets() listing[shownTarget] {
	return listing[shownTarget]{
		short: "List the watched servers: whether they answer, when they were measured last, and why not",
		all:   "removed ones too",
		rows: func(ctx context.Context, store *vault.Store, all bool) ([]shownTarget, error) {
			found, err := store.Targets(ctx, all)
			return each(found, func(t vault.ListedTarget) shownTarget { return showTarget(t, a.now()) }), err
		},
		columns: targetColumns,
		name:    func(t shownTarget) string { return t.Name },
	}
}

func targetColumns(now time.Time) []output.Column[shownTarget] {
	type row = shownTarget
	return []output.Column[row]{
		{Name: "TARGET", Cell: func(t row) output.Cell { return output.Text(t.Name) }},
		{Name: "STATE", Cell: func(t row) output.Cell {
			style := map[string]output.Style{"OK": output.Good, "UNREACHABLE": output.Bad, "NO_SAMPLES": output.Bad}[t.Watched]
			return output.Cell{Text: t.Watched, Style: style}
		}},
		{Name: "VERSION", Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.ServerVersion)) }},
		{Name: "LAST SAMPLE", Cell: func(t row) output.Cell {
			if t.LastSampleAt == nil {
				return output.Text(output.None)
			}
			return output.Text(output.Age(now, *t.LastSampleAt) + " ago")
		}},
		{Name: "ALERTS", Cell: func(t row) output.Cell { return output.Text(strconv.Itoa(t.OpenAlerts)) }},
		{Name: "WHY NOT", Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.Reason)) }},
		{Name: "EVERY", Wide: true, Cell: func(t row) output.Cell {
			if t.EverySeconds == 0 {
				return output.Text("default")
			}
			return output.Text((time.Duration(t.EverySeconds) * time.Second).String())
		}},
		{Name: "ADDRESS", Wide: true, Cell: func(t row) output.Cell { return output.Text(output.OrNone(addressText(t.Target))) }},
		{Name: "SECRET", Wide: true, Cell: func(t row) output.Cell { return output.Text(output.OrNone(secretText(t.Target))) }},
		{Name: "TENANT", Wide: true, Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.Tenant)) }},
		{Name: "BY", Wide: true, Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.ChangedBy)) }},
		{Name: "DESCRIPTION", Wide: true, Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.Description)) }},
	}
}

func addressText(t vault.Target) string {
	switch {
	case t.URLEnv != "":
		return "in $" + t.URLEnv
	case t.URLFile != "":
		return "in " + t.URLFile
	}
	return t.URL
}

func secretText(t vault.Target) string {
	if t.PasswordEnv != "" {
		return "$" + t.PasswordEnv
	}
	return t.PasswordFile
}

// ---------------------------------------------------------------- check

func (a *app) targetCheckCommand() *cobra.Command {
	var flags addressFlags
	cmd := &cobra.Command{
		Use:   "check NAME|URL",
		Short: "Connect to a server from here, and say what is missing there, what it costs, and which lines remedy it",
		Long: `Connect to a target, or to a server that is none yet, measure it once without recording anything, and say what is
missing: privileges, extensions, settings; which metrics are lost by each; and the SQL that remedies it. It runs from here, with
the variables and files of here: what the workers see stands in ` + "`onevault target list`" + `.
Exit code 1 where it cannot be reached or something is lost; advice alone is 0.`,
		Example: "  onevault target check shop\n  onevault target check postgres://watcher@db.example.com/shop --password-env PGPASS_SHOP -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, address, err := a.checkedTarget(cmd.Context(), args[0], flags)
			if err != nil {
				return err
			}
			ok, err := a.showCheck(cmd.Context(), name, address)
			if err != nil {
				return err
			}
			if !ok {
				return &silent{exitError}
			}
			return nil
		},
	}
	flags.add(cmd)
	return cmd
}

// checkedTarget is what to check: an address of the command line, or that of a target's row.
func (a *app) checkedTarget(ctx context.Context, given string, flags addressFlags) (string, collect.Address, error) {
	if strings.Contains(given, "://") {
		address, err := flags.checked(given)
		return "the server", address, err
	}
	if flags != (addressFlags{}) {
		return "", collect.Address{}, usage(errors.New("the flags of an address go with a URL; a target's own are in its row"))
	}
	found, err := a.findTarget(ctx, given)
	return found.Name, activities.AddressOf(found.Target), err
}

// showCheck checks and prints; ok: nothing is lost.
func (a *app) showCheck(ctx context.Context, name string, address collect.Address) (ok bool, err error) {
	target, err := a.openForCheck(name, address)
	if err != nil {
		return false, err
	}
	defer target.Close()
	found := target.Check(ctx)
	if err := a.printCheck(found); err != nil {
		return false, err
	}
	if collect.Unresolved(found.Error) {
		a.note("The secret was looked for here. The workers have variables and files of their own: see `onevault target list`.")
	}
	return found.OK(), nil
}

func (a *app) openForCheck(name string, address collect.Address) (*collect.Target, error) {
	if name == activities.LocalTarget {
		vaultURL, err := a.vaultURL()
		if err != nil {
			return nil, err
		}
		return collect.OpenTarget(name, vaultURL)
	}
	secrets := collect.Secrets{LookupEnv: a.lookupSecret}
	if dir := a.values.Get(settings.SecretsDir); dir != "" {
		secrets.Dirs = append([]string{dir}, collect.DefaultSecretsDirs...)
	}
	return collect.OpenAddress(name, address, secrets)
}

func (a *app) printCheck(c collect.Check) error {
	p := a.printer()
	if p.Structured() {
		return p.Value(c)
	}
	if !c.Reachable {
		fmt.Fprintf(a.out, "%s: %s %s\n", output.Printable(c.Target), p.Paint(output.Cell{Text: "not reachable:", Style: output.Bad}), output.Printable(c.Error))
		return nil
	}
	role, encrypted := "primary", "not encrypted"
	if c.Standby {
		role = "standby"
	}
	if c.Encrypted {
		encrypted = "encrypted"
	}
	fmt.Fprintf(a.out, "%s: PostgreSQL %s, %s, database %s as %s, %s\n", output.Printable(c.Target), output.Printable(c.Version), role,
		output.Printable(c.Database), output.Printable(c.Role), encrypted)
	fmt.Fprintf(a.out, "%d metrics measured, %d not\n", c.Measured, len(c.Unmeasured))
	for _, u := range c.Unmeasured {
		fmt.Fprintf(a.out, "  %s: %s\n", u.Metric, output.Printable(u.Reason))
	}
	for _, lack := range c.Lacks {
		mark := output.Cell{Text: "lost", Style: output.Bad}
		if lack.Advice {
			mark = output.Cell{Text: "advice", Style: output.Fair}
		}
		fmt.Fprintf(a.out, "\n%s: %s\n  %s\n", p.Paint(mark), output.Printable(lack.What), output.Printable(lack.Costs))
		for _, line := range lack.Remedy {
			fmt.Fprintln(a.out, "    "+output.Printable(line))
		}
	}
	if len(c.Lacks) == 0 {
		fmt.Fprintln(a.out, "nothing is missing")
	}
	return nil
}
