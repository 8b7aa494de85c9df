package settings_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"onevault/settings"
)

func TestWriteEnvFile_IsReadBackByUsAndByAShell(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := map[string]string{
		settings.DatabaseURL: "postgres://postgres:p$ss'w`rd@127.0.0.1:15432/onevault?sslmode=disable",
		settings.UIURL:       "http://127.0.0.1:8233",
	}
	if err := settings.WriteEnvFile(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := settings.ReadEnvFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, settings.Values(want)) {
		t.Errorf("read back %v", got)
	}
	shell := exec.Command("sh", "-c", `. "$1"; printf %s "$ONEVAULT_DATABASE_URL"`, "sh", settings.EnvFile(dir))
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != want[settings.DatabaseURL] {
		t.Errorf("a shell reads %q", out)
	}
}

func TestWriteEnvFile_IsForItsOwnerOnlyAndLeavesNothingBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		if err := settings.WriteEnvFile(dir, map[string]string{settings.DatabaseURL: "postgres://a:b@c/d"}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(settings.EnvFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o, want 600", got)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Errorf("files in the directory: %v", files)
	}
}

func TestWriteEnvFile_RefusesWhatAShellWouldExecute(t *testing.T) {
	t.Parallel()
	for key, value := range map[string]string{"A B": "x", "OK": "one\ntwo", "": "x"} {
		err := settings.WriteEnvFile(t.TempDir(), map[string]string{key: value})
		if err == nil {
			t.Errorf("wrote %q=%q", key, value)
		}
	}
}

func TestReadEnvFile_SaysWhichLineIsWrongWithoutItsText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "# comment\nA='1'\nsecret-without-a-name\n"
	if err := os.WriteFile(settings.EnvFile(dir), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := settings.ReadEnvFile(dir)
	if err == nil || !strings.Contains(err.Error(), "line 3") || strings.Contains(err.Error(), "secret-without") {
		t.Errorf("error = %v", err)
	}
}

func TestReadEnvFile_TellsAMissingFile(t *testing.T) {
	t.Parallel()
	if _, err := settings.ReadEnvFile(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want fs.ErrNotExist", err)
	}
}

func TestLoad_EnvironmentWinsOverTheFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	t.Setenv("ONEVAULT_DATA_DIR", dir)
	t.Setenv(settings.UIURL, "")
	t.Setenv(settings.APIURL, "http://environment")

	empty, err := settings.Load()
	if err != nil || len(empty) != 0 {
		t.Fatalf("without a file: %v, %v", empty, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err = settings.WriteEnvFile(dir, map[string]string{settings.UIURL: "http://file", settings.APIURL: "http://file"})
	if err != nil {
		t.Fatal(err)
	}
	values, err := settings.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := values.Get(settings.UIURL); got != "http://file" {
		t.Errorf("UI URL = %q, want the file's: the variable is empty", got)
	}
	if got := values.Get(settings.APIURL); got != "http://environment" {
		t.Errorf("API URL = %q, want the environment's", got)
	}
}
