// Package onevault_test holds the architecture: which package may import which, what the binaries link,
// and where code may live. It reads the module with `go list`; it compiles and runs nothing.
package onevault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "onevault"

// What somebody downloads, audits and waits for who only builds the worker.
const (
	// maxLinked bounds the modules whose code ends up in the root's packages (pgx, goose, Temporal's
	// SDK with gRPC, cobra, Prometheus, the channels' libraries and what these need). It was 46 when
	// the bound was set.
	maxLinked = 70
	// maxModules bounds the build list, which also names what nobody links: 91 of the 178 that it had
	// when the bound was set are goose's, for databases that we do not use. PagerDuty's own client names 20
	// more for its command line, and the validator of Twilio's requests in tests ten: none of them is linked.
	maxModules = 225
)

// The layers of the tree, by top-level directory. Imports point one way, from cmd down:
//
//	cmd -> worker -> workflows -> activities -> effects
//	                                        \-> pure
var (
	pure    = []string{"alert", "anomaly", "backtest", "oncall", "incident", "forecast", "report", "digest"}
	effects = []string{"vault", "archive", "collect", "notify", "pgserver", "inbox", "evidence"}

	// above names the layers over effects and pure, lowest first.
	above = []string{"activities", "workflows", "worker", "cmd"}
)

// serverModules are what only the embedded development server and the end-to-end tests may link.
var serverModules = []string{"go.temporal.io/server", "github.com/temporalio/ui-server"}

func TestPurePackages_ImportOnlyTheStandardLibraryAndEachOther(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !slices.Contains(pure, p.area()) {
			continue
		}
		for _, imported := range p.Imports {
			switch {
			case slices.Contains(pure, area(imported)):
			case !standard(imported):
				t.Errorf("%s imports %s, but it holds rules over values only: pass what it needs as an argument, or move the code to an effect package (%s)",
					p.ImportPath, imported, strings.Join(effects, ", "))
			case touchesTheWorld(imported):
				t.Errorf("%s imports %s, but it must not reach files, processes, networks or databases: do that in an effect package and pass the result in",
					p.ImportPath, imported)
			}
		}
	}
}

// touchesTheWorld reports standard packages whose use makes a result depend on more than the arguments.
func touchesTheWorld(path string) bool {
	root, _, _ := strings.Cut(path, "/")
	allowed := []string{"net/url", "net/mail", "net/netip"}
	return slices.Contains([]string{"os", "net", "syscall", "plugin"}, root) && !slices.Contains(allowed, path) ||
		slices.Contains([]string{"database/sql", "io/ioutil", "log", "log/syslog", "math/rand", "math/rand/v2"}, path)
}

func TestPurePackages_ReadNoClock(t *testing.T) {
	t.Parallel()
	clocks := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, p := range packages(t) {
		if !slices.Contains(pure, p.area()) {
			continue
		}
		for _, file := range p.GoFiles {
			for _, use := range usesOf(t, filepath.Join(p.Dir, file), "time", clocks) {
				t.Errorf("%s: a pure package asks nobody for the time; take `now` as an argument", use)
			}
		}
	}
}

func TestEffectPackages_DoNotImportEachOther(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !slices.Contains(effects, p.area()) {
			continue
		}
		for _, imported := range p.Imports {
			if other := area(imported); other != p.area() && slices.Contains(effects, other) {
				t.Errorf("%s imports %s: effects do not know each other; let an activity or the worker bring them together",
					p.ImportPath, imported)
			}
		}
		for _, imported := range p.testImports() {
			other := area(imported)
			if other != p.area() && other != "pgserver" && other != "vault" && slices.Contains(effects, other) {
				t.Errorf("the tests of %s import %s: of the other effects, tests may use pgserver (a real PostgreSQL) and vault (a real one) only; a test that needs more belongs to e2e",
					p.ImportPath, imported)
			}
		}
	}
}

func TestWorkflows_ImportNoEffectPackage(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.area() != "workflows" {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(effects, area(imported)) {
				t.Errorf("%s imports %s: a workflow orchestrates and must replay; call an activity, and take types from activities",
					p.ImportPath, imported)
			}
		}
	}
}

func TestImports_PointOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if area(imported) == p.area() {
				continue
			}
			if height(imported) > height(p.ImportPath) {
				t.Errorf("%s imports %s, which stands above it (cmd > worker > workflows > activities > everything else): move what both need down",
					p.ImportPath, imported)
			}
		}
	}
}

// height is 0 for every package below activities.
func height(path string) int { return slices.Index(above, area(path)) + 1 }

func TestBinaryOnevault_LinksNoTemporalServer(t *testing.T) {
	t.Parallel()
	linked, err := golist[goPackage]("-deps", "-json=ImportPath", "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range linked {
		if ofServer(p.ImportPath) {
			t.Errorf("the root module links %s: only cmd/onevault-dev, a module of its own, may (`go mod why %s` shows the way in)",
				p.ImportPath, p.ImportPath)
		}
	}
}

func TestModules_OnlyDevelopmentAndEndToEndTestsRequireTheTemporalServer(t *testing.T) {
	t.Parallel()
	allowed := []string{"cmd/onevault-dev", "e2e"}
	for _, dir := range moduleDirs(t) {
		for _, required := range requirements(t, dir) {
			if ofServer(required) && !slices.Contains(allowed, filepath.ToSlash(dir)) {
				t.Errorf("%s requires %s: only %s may", filepath.Join(dir, "go.mod"), required, strings.Join(allowed, " and "))
			}
		}
	}
}

func TestRootModule_LinksFewModules(t *testing.T) {
	t.Parallel()
	linked, err := golist[struct{ Module struct{ Path string } }]("-deps", "-json=Module", "./...")
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]bool{}
	for _, p := range linked {
		modules[p.Module.Path] = true // "" for the standard library counts as one
	}
	if len(modules) > maxLinked {
		t.Errorf("the root module links %d modules, more than %d: %s", len(modules), maxLinked, tooMany)
	}
}

func TestRootModule_BuildListStaysSmallAndWithoutTheTemporalServer(t *testing.T) {
	t.Parallel()
	modules, err := golist[struct{ Path string }]("-m", "-json=Path", "all")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		if ofServer(m.Path) {
			t.Errorf("the root's build list holds %s (`go mod graph` shows who asks for it): it belongs to cmd/onevault-dev's go.mod", m.Path)
		}
	}
	if len(modules) > maxModules {
		t.Errorf("the root's build list has %d modules, more than %d: %s", len(modules), maxModules, tooMany)
	}
}

const tooMany = "drop the new dependency, or raise the bound in architecture_test.go and say there what is worth it"

func TestTree_HasNoPackagesWithoutASubject(t *testing.T) {
	t.Parallel()
	banned := []string{"util", "utils", "common", "helper", "helpers", "shared", "pkg", "internal", "core", "misc", "lib"}
	eachDir(t, func(dir string) {
		name := filepath.Base(dir)
		if slices.Contains(banned, name) || strings.HasSuffix(name, "util") || strings.HasSuffix(name, "utils") {
			t.Errorf("%s: a folder is named for what it is about; put the code where it is used, or name its subject", dir)
		}
	})
}

// goPackage is what `go list -json` tells about a package, as far as the rules need it.
type goPackage struct {
	Dir, ImportPath string
	GoFiles         []string
	Imports         []string
	TestImports     []string
	XTestImports    []string
}

func (p goPackage) area() string { return area(p.ImportPath) }

func (p goPackage) testImports() []string { return slices.Concat(p.TestImports, p.XTestImports) }

// area is the top-level directory of one of the module's packages, "" for every other package.
func area(path string) string {
	rest, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	top, _, _ := strings.Cut(rest, "/")
	return top
}

// standard reports whether an import path is the standard library's: its first element has no dot,
// and it is not ours.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != module && !strings.Contains(first, ".")
}

func ofServer(path string) bool {
	return slices.ContainsFunc(serverModules, func(m string) bool {
		return path == m || strings.HasPrefix(path, m+"/")
	})
}

// packages lists the root module's packages, asked for once.
func packages(t *testing.T) []goPackage {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var listed = sync.OnceValues(func() ([]goPackage, error) {
	all, err := golist[goPackage]("-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...")
	if err == nil && len(all) < 2 {
		err = fmt.Errorf("go list found %d packages: the rules would hold for nothing", len(all))
	}
	return all, err
})

// golist returns what `go list` prints as a stream of JSON objects.
func golist[T any](args ...string) ([]T, error) {
	out, err := run(append([]string{"list"}, args...)...)
	if err != nil {
		return nil, err
	}
	var all []T
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var one T
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read go list %s: %w", strings.Join(args, " "), err)
		}
		all = append(all, one)
	}
}

func run(args ...string) ([]byte, error) {
	out, err := exec.Command("go", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// requirements lists the module paths that a go.mod asks for.
func requirements(t *testing.T, dir string) []string {
	t.Helper()
	var mod struct{ Require []struct{ Path string } }
	out, err := run("mod", "edit", "-json", filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatalf("read %s/go.mod: %v", dir, err)
	}
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	return paths
}

// moduleDirs lists the folders of the tree that are modules, relative to the root.
func moduleDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	eachDir(t, func(dir string) {
		if found, err := filepath.Glob(filepath.Join(dir, "go.mod")); err != nil {
			t.Fatal(err)
		} else if len(found) > 0 {
			dirs = append(dirs, dir)
		}
	})
	return dirs
}

// eachDir visits the folders that hold the project's code.
func eachDir(t *testing.T, visit func(dir string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := entry.Name()
		if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "bin") {
			return fs.SkipDir
		}
		visit(path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// usesOf lists where a file calls or names pkg.name, for each of the names, as file:line: pkg.name.
func usesOf(t *testing.T, file, pkg string, names []string) []string {
	t.Helper()
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var uses []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == pkg && slices.Contains(names, selector.Sel.Name) {
			uses = append(uses, fmt.Sprintf("%s: %s.%s", positions.Position(selector.Pos()), pkg, selector.Sel.Name))
		}
		return true
	})
	return uses
}
