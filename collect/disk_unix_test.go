//go:build unix

package collect

import (
	"os"
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

func TestVolumeUsage_OfADirectoryThatIsNotHere(t *testing.T) {
	t.Parallel()
	if used, err := volumeUsage("/there/is/no/such/directory"); err == nil {
		t.Errorf("it is %v %% full", used)
	}
	if used, err := volumeUsage(t.TempDir()); err != nil || used <= 0 || used > 100 {
		t.Errorf("the volume of this test is %v %% full, %v", used, err)
	}
}
