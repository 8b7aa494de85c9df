package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating system's user that the server runs as: PostgreSQL refuses root.
type account struct {
	name     string
	uid, gid int
	drop     bool // we are root and must become this user in the child
}

// accountFor decides who runs the server on the data directory. Existing data's owner does, as the
// server insists; new data, under root, belongs to postgres or else to nobody.
func accountFor(data string) (account, error) {
	self := account{uid: os.Geteuid(), gid: os.Getegid()}
	self.name = userName(self.uid)
	owner, err := clusterOwner(data)
	switch {
	case errors.Is(err, fs.ErrNotExist) && self.uid != 0:
		return self, nil
	case errors.Is(err, fs.ErrNotExist):
		return serviceAccount()
	case err != nil:
		return account{}, fmt.Errorf("find the owner of %s: %w", data, err)
	case owner.uid == 0:
		return account{}, fmt.Errorf("data directory %s belongs to root, whom PostgreSQL refuses to serve: give it to another user with chown -R", data)
	case self.uid == 0:
		owner.drop = true
		return owner, nil
	case owner.uid != self.uid:
		return account{}, fmt.Errorf("data directory %s belongs to %s, and this process runs as %s: start it as %s, or choose another directory",
			data, owner.name, self.name, owner.name)
	}
	return self, nil
}

// clusterOwner returns who owns the cluster in data; fs.ErrNotExist when there is no cluster.
func clusterOwner(data string) (account, error) {
	info, err := os.Stat(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return account{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return account{name: userName(int(stat.Uid)), uid: int(stat.Uid), gid: int(stat.Gid)}, nil
}

// serviceAccount is the user that root hands a new cluster to. It must exist by name: initdb asks.
func serviceAccount() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return account{}, fmt.Errorf("user %s: %w", name, err)
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return account{}, fmt.Errorf("user %s: %w", name, err)
		}
		return account{name, uid, gid, true}, nil
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and neither user postgres nor nobody exists: create one (useradd --system postgres)")
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(uid)
}

func (a account) credential() *syscall.Credential {
	if !a.drop {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// own hands what we created to the account; only root can, and only root needs to.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// checkPath reports the first directory on the way to dir that the account cannot enter.
func (a account) checkPath(dir string) error {
	if !a.drop {
		return nil
	}
	for d := dir; ; d = filepath.Dir(d) {
		ok, err := a.mayEnter(d)
		if err != nil {
			return fmt.Errorf("check the way to %s: %w", dir, err)
		}
		if !ok {
			return fmt.Errorf("PostgreSQL cannot run as root, and its user %s cannot enter %s on the way to %s: "+
				"choose a directory such as /var/lib/onevault, or run chmod o+x %s", a.name, d, dir, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// mayEnter reads the permission bits as the kernel does: the first class that fits decides.
func (a account) mayEnter(dir string) (bool, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	bit := fs.FileMode(0o001)
	switch {
	case int(stat.Uid) == a.uid:
		bit = 0o100
	case int(stat.Gid) == a.gid:
		bit = 0o010
	}
	return info.Mode()&bit != 0, nil
}
