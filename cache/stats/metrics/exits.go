package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

// WriteFile writes all metrics to a file for the textfile collector of node_exporter. The file appears whole or not at all.
func (m *Metrics) WriteFile(path string) error {
	if err := prometheus.WriteToTextfile(path, m.registry); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// pushLimit is for one push.
const pushLimit = 10 * time.Second

// Push replaces what a Pushgateway has of this host. The address may hold a user and a password, which no error shows.
func (m *Metrics) Push(ctx context.Context, address, host string) error {
	ctx, cancel := context.WithTimeout(ctx, pushLimit)
	defer cancel()
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("the Pushgateway's address is no URL") // the error would show it
	}
	user := u.User
	u.User = nil
	p := push.New(u.String(), "gitlab_go_executor").Gatherer(m.registry)
	if user != nil {
		password, _ := user.Password()
		p = p.BasicAuth(user.Username(), password)
	}
	if host != "" {
		p = p.Grouping("instance", host)
	}
	return p.PushContext(ctx)
}
