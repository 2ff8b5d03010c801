package s3test

import (
	"fmt"
	"path/filepath"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// nodes of a cluster. Each object is spread over all of them, and may lack any one.
const nodes = 4

// Cluster is one MinIO of several nodes.
type Cluster struct {
	t         testing.TB
	dir       string
	addresses []string
	servers   []*server
}

// NewCluster starts one and gives its bucket, as its first node has it.
func NewCluster(t testing.TB) (*Cluster, store.S3Config) {
	t.Helper()
	for range starts {
		c := &Cluster{t: t, dir: t.TempDir(), servers: make([]*server, nodes)}
		for range nodes {
			c.addresses = append(c.addresses, freeAddress(t))
		}
		up := true
		for n := range nodes {
			c.launch(n)
		}
		for n := range nodes {
			up = up && c.servers[n].ready(t, c.addresses[n])
		}
		if up {
			t.Cleanup(c.stop)
			return c, configOf(c.addresses[0])
		}
		c.stop()
		for n, s := range c.servers {
			t.Logf("node %d of a cluster:\n%s", n, s.output.String())
		}
	}
	t.Fatal("no cluster of MinIO starts")
	return nil, store.S3Config{}
}

func (c *Cluster) launch(n int) {
	c.t.Helper()
	var drives []string
	for i, address := range c.addresses {
		drives = append(drives, fmt.Sprintf("http://%s%s", address, filepath.Join(c.dir, fmt.Sprint("drive", i))))
	}
	home := filepath.Join(c.dir, fmt.Sprint("home", n))
	args, env := minioServer(c.addresses[n], home, drives...)
	env = append(env, "_MINIO_SERVER_LOCAL="+c.addresses[n]) // where MinIO sees a container it takes no loopback address for its own
	c.servers[n] = launch(c.t, binary(c.t, "minio"), home, args, env)
}

func (c *Cluster) stop() {
	for _, s := range c.servers {
		s.stop()
	}
}

// Kill ends a node at once, as a power cut does; the first node is 0.
func (c *Cluster) Kill(n int) { c.servers[n].stop() }

// Revive starts a node again, and returns when it answers.
func (c *Cluster) Revive(n int) {
	c.t.Helper()
	c.launch(n)
	if !c.servers[n].ready(c.t, c.addresses[n]) {
		c.t.Fatalf("node %d does not come back:\n%s", n, c.servers[n].output.String())
	}
}
