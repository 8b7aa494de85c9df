package temporalserver

import (
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

const (
	clusterName = "active"
	storeName   = "sqlite"
)

// sqliteStore describes the database file. WAL with synchronous=normal survives the death of the
// process, and measured 2.4 times faster than the default; more than one connection was slower.
func sqliteStore(file string) *config.SQL {
	return &config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: file,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			"synchronous":  "normal",
		},
	}
}

// serverConfig is a cluster of one, without archival, metrics or profiling ports.
func serverConfig(store *config.SQL, services map[string]config.Service, port int) *config.Config {
	var c config.Config
	c.Global.Membership.MaxJoinDuration = 30 * time.Second
	c.Global.Membership.BroadcastAddress = loopback
	c.Persistence = config.Persistence{
		DefaultStore:     storeName,
		VisibilityStore:  storeName,
		NumHistoryShards: 1,
		DataStores:       map[string]config.DataStore{storeName: {SQL: store}},
	}
	c.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
			Enabled:                true,
			InitialFailoverVersion: 1,
			RPCAddress:             hostPort(port),
			ClusterID:              uuid.NewString(),
		}},
	}
	c.DCRedirectionPolicy.Policy = "noop"
	c.Services = services
	c.PublicClient.HostPort = hostPort(port)
	c.Archival.History.State, c.Archival.Visibility.State = "disabled", "disabled"
	c.NamespaceDefaults.Archival.History.State = "disabled"
	c.NamespaceDefaults.Archival.Visibility.State = "disabled"
	return &c
}

// serviceConfig gives each of the four services a port: the frontend the given one, the others any.
func serviceConfig(port int) (map[string]config.Service, map[primitives.ServiceName]static.Hosts, error) {
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		servicePort := port
		if name != primitives.FrontendService {
			var err error
			if servicePort, err = claim("Temporal "+string(name), 0); err != nil {
				return nil, nil, err
			}
		}
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: servicePort, BindOnIP: loopback}}
		hosts[name] = static.SingleLocalHost(hostPort(servicePort))
	}
	return services, hosts, nil
}

// dynamicConfig lifts the limits that protect a shared cluster, makes a registered search attribute
// usable at once, and keeps the server from asking the internet for newer versions.
func dynamicConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key():      true,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8096,
		dynamicconfig.EnableServerVersionCheck.Key():                     false,
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():           1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():          1,
		dynamicconfig.MakeKey("frontend.persistenceMaxQPS"):              10000,
		dynamicconfig.MakeKey("history.persistenceMaxQPS"):               45000,
		dynamicconfig.MakeKey("system.forceNexusEndpointRefreshOnRead"):  true,
	}
}
