package collect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A backend's process id says something about this host only where a postgres of this host has it: the
// id of a server elsewhere is here nobody's, or somebody else's.
func TestBackendIsHere_OnlyWhereAPostgresHasTheID(t *testing.T) {
	t.Parallel()
	for what, pid := range map[string]int{"this test": os.Getpid(), "init": 1, "nobody": 1 << 30} {
		if backendIsHere(uint32(pid)) {
			t.Errorf("%s is taken for a backend", what)
		}
	}
}

func TestVolumeOf_ADirectoryThatIsNotHere(t *testing.T) {
	t.Parallel()
	if v, err := volumeOf("/there/is/no/such/directory"); err == nil {
		t.Errorf("it is %+v", v)
	}
}

func TestVolumeOf_IsTheFileSystemBelowASymbolicLink(t *testing.T) {
	t.Parallel()
	here := t.TempDir()
	link := filepath.Join(here, "link")
	if err := os.Symlink("/proc", link); err != nil {
		t.Fatal(err)
	}
	v, err := volumeOf(here)
	if err != nil || v.usage() <= 0 || v.usage() > 100 || v.available <= 0 || !strings.HasPrefix(here, v.mount) {
		t.Errorf("the volume of this test is %+v, %v", v, err)
	}
	// What /proc holds are no blocks: following the link shows.
	if v, err := volumeOf(link); err == nil || !strings.Contains(err.Error(), "statfs /proc: the volume has no blocks") {
		t.Errorf("through the link it is %+v, %v", v, err)
	}
}

func TestMountPoint_IsWhereTheDeviceBegins(t *testing.T) {
	t.Parallel()
	for directory, want := range map[string]string{"/": "/", "/proc": "/proc", "/proc/self/net": "/proc"} {
		if got, err := mountPoint(directory); err != nil || got != want {
			t.Errorf("%s is mounted at %q, %v; want %s", directory, got, err, want)
		}
	}
}
