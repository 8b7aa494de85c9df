package pgserver

import (
	"errors"
	"fmt"
	"maps"
)

// Values of Config.Port that are no port number.
const (
	// SocketOnly serves the unix socket inside Config.Dir and no TCP port.
	SocketOnly = 0
	// AnyPort serves a free TCP port on 127.0.0.1 too; another one at each start.
	AnyPort = -1
)

// Config says where the server lives and how it is reached.
type Config struct {
	// Dir belongs to this package: data, unix socket, log and lock live there. It is created where it is
	// missing. With Ephemeral it is the parent of a fresh directory instead, and may be empty: then a
	// memory file system is used if there is one with room, else the system's place for temporary files.
	Dir string
	// BinDir holds the programs postgres and initdb. Empty: the newest that Discover finds, or the one of
	// the existing data's major version.
	BinDir string
	// MinMajor is the oldest major version that will do; 0 means 15, the oldest that can hold a vault. A
	// server that is to be watched may be older.
	MinMajor int
	// Port is SocketOnly, AnyPort, or exactly the TCP port on 127.0.0.1 to listen on.
	Port int
	// Ephemeral is for tests: nothing is synced to disk, Stop ends the server at once and removes all
	// that it wrote.
	Ephemeral bool
	// Settings are PostgreSQL parameters; they win over this package's own (see defaultSettings).
	Settings map[string]string
}

func (c Config) validate() error {
	if c.Dir == "" && !c.Ephemeral {
		return errors.New("start postgres: Config.Dir is empty: name a directory for its data")
	}
	if c.Port < AnyPort || c.Port > 65535 {
		return fmt.Errorf("start postgres: port %d: want 1 to 65535, 0 for the unix socket only, or -1 for any free port", c.Port)
	}
	for _, name := range []string{"port", "listen_addresses", "unix_socket_directories", "data_directory", "hba_file"} {
		if _, ok := c.Settings[name]; ok {
			// The socket trusts whoever may enter its directory, so where it lies is not for others to say.
			return fmt.Errorf("start postgres: the parameter %s cannot be set: it follows from Dir and Port", name)
		}
	}
	return nil
}

// serverSettings returns the parameters that do not depend on where this start listens.
func (c Config) serverSettings() map[string]string {
	s := defaultSettings()
	if c.Ephemeral {
		maps.Copy(s, ephemeralSettings())
	}
	maps.Copy(s, c.Settings)
	return s
}

func defaultSettings() map[string]string {
	return map[string]string{
		"shared_preload_libraries": "pg_stat_statements",
		"track_io_timing":          "on",
		"timezone":                 "UTC",
		"log_timezone":             "UTC",
		"max_connections":          "150", // the deployment guide runs 100 psql at once, beside the worker's pools
	}
}

// ephemeralSettings trade durability for speed and determinism.
func ephemeralSettings() map[string]string {
	return map[string]string{
		"fsync":              "off",
		"synchronous_commit": "off",
		"full_page_writes":   "off",
		"max_connections":    "300", // the tests of several packages share one server
		"shared_buffers":     "64MB",
		"jit":                "off",
		// With autovacuum, statistics and plans would change under a test at moments of its own, and its
		// workers would visit hundreds of short-lived databases. A test that needs VACUUM or ANALYZE says so.
		"autovacuum": "off",
		// Keeps shared segments inside the server's directory, so that removing it leaves nothing in
		// /dev/shm, even after a kill -9.
		"dynamic_shared_memory_type": "mmap",
	}
}
