package docker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// CreateNetwork makes the job's network and gives its id; an MTU of 0 is Docker's default. Like Create it ends what it has begun.
func (c *Client) CreateNetwork(ctx context.Context, owner Owner, name string, mtu int, ipv6 bool) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	ctx, cancel := bounded(context.WithoutCancel(ctx), callTimeout, "the creation of the job's network")
	defer cancel()
	made, err := c.api.NetworkCreate(ctx, name, network.CreateOptions{
		Driver: "bridge", Labels: owner.labels("network"), Options: networkOptions(mtu), EnableIPv6: &ipv6,
	})
	if err != nil {
		return "", explain(ctx, err, "create the job's network%s", networkHint(err))
	}
	return made.ID, nil
}

// networkHint says what helps when Docker has no addresses; before version 27 of its own it names their family.
func networkHint(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "non-overlapping IPv6 address pool"):
		return ", as Docker has no addresses of IPv6 (set default-address-pools in daemon.json, or leave out docker.enable_ipv6)"
	case strings.Contains(text, "non-overlapping IPv4 address pool"), strings.Contains(text, "address pools have been fully subnetted"):
		return ", as Docker has no addresses left (set default-address-pools in daemon.json, or run fewer jobs at a time)"
	}
	return ""
}

// FindNetwork checks that the administrator's network is there.
func (c *Client) FindNetwork(ctx context.Context, name string) error {
	ctx, cancel := bounded(ctx, callTimeout, "the inspection of network "+name)
	defer cancel()
	_, err := c.api.NetworkInspect(ctx, name, network.InspectOptions{})
	if gone(err) {
		return outcome.System(outcome.SettingsInvalid, "settings: docker.network_mode: Docker has no network %q; `docker network create %s` makes one", name, name)
	}
	return explain(ctx, err, "inspect network %s", name)
}

// removalPause is the time between two attempts to remove what Docker still holds on to.
const removalPause = 200 * time.Millisecond

// RemoveJob removes every container, volume and network of a job, by label. It is done when nothing of the job is left, and
// takes what is gone already for success.
func (c *Client) RemoveJob(ctx context.Context, owner Owner, limit time.Duration) error {
	ctx, cancel := bounded(ctx, limit, "the removal of the job's containers and network")
	defer cancel()
	for {
		left, err := c.removeOnce(ctx, owner)
		if err == nil && left == 0 {
			return nil
		}
		if err != nil && (ctx.Err() != nil || !busy(err)) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(removalPause):
		}
	}
}

// busy names the daemon's words for a removal that another one, or a container's end, is in the way of.
func busy(err error) bool {
	text := err.Error()
	return strings.Contains(text, "is already in progress") || strings.Contains(text, "has active endpoints") ||
		strings.Contains(text, "device or resource busy")
}

// listed asks for a list. It has less time than a removal, of which the daemon is slow where a process takes long to die.
func listed[T any](ctx context.Context, what string, list func(context.Context) (T, error)) (T, error) {
	ctx, cancel := bounded(ctx, callTimeout, "a list of "+what)
	defer cancel()
	found, err := list(ctx)
	return found, explain(ctx, err, "list %s", what)
}

// removeOnce tries each object once and says how many there were.
func (c *Client) removeOnce(ctx context.Context, owner Owner) (int, error) {
	containers, err := listed(ctx, "the job's containers", func(ctx context.Context) ([]container.Summary, error) {
		return c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: owner.filter()})
	})
	if err != nil {
		return 0, err
	}
	var group errgroup.Group
	for _, ct := range containers {
		group.Go(func() error {
			err := c.api.ContainerRemove(ctx, ct.ID, container.RemoveOptions{Force: true, RemoveVolumes: !c.KeepVolumes})
			if gone(err) {
				return nil
			}
			return explain(ctx, err, "remove container %s", strings.Join(ct.Names, ","))
		})
	}
	if err := group.Wait(); err != nil {
		return len(containers), err
	}
	crash.At(crash.ContainersRemoved)
	networks, err := listed(ctx, "the job's networks", func(ctx context.Context) ([]network.Summary, error) {
		return c.api.NetworkList(ctx, network.ListOptions{Filters: owner.filter()})
	})
	if err != nil {
		return 0, err
	}
	for _, n := range networks {
		if err := c.api.NetworkRemove(ctx, n.ID); err != nil && !gone(err) {
			return len(networks), explain(ctx, err, "remove network %s", n.Name)
		}
	}
	volumes, err := listed(ctx, "the job's volumes", func(ctx context.Context) (volume.ListResponse, error) {
		return c.api.VolumeList(ctx, volume.ListOptions{Filters: owner.filter()})
	})
	if err != nil {
		return 0, err
	}
	for _, v := range volumes.Volumes {
		if err := c.api.VolumeRemove(ctx, v.Name, true); err != nil && !gone(err) {
			return len(volumes.Volumes), explain(ctx, err, "remove volume %s", v.Name)
		}
	}
	// Each removal returns when the object is gone, so what was listed is not listed again.
	return 0, nil
}

// Jobs lists the jobs of a state directory that own a container, a volume or a network, by their label.
func (c *Client) Jobs(ctx context.Context, state string) ([]string, error) {
	ctx, cancel := bounded(ctx, callTimeout, "a list of containers and networks")
	defer cancel()
	byState := filters.NewArgs(filters.Arg("label", labelState+"="+state))
	containers, err := c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: byState})
	if err != nil {
		return nil, explain(ctx, err, "list containers")
	}
	networks, err := c.api.NetworkList(ctx, network.ListOptions{Filters: byState})
	if err != nil {
		return nil, explain(ctx, err, "list networks")
	}
	volumes, err := c.api.VolumeList(ctx, volume.ListOptions{Filters: byState})
	if err != nil {
		return nil, explain(ctx, err, "list volumes")
	}
	jobs := map[string]bool{}
	for _, v := range volumes.Volumes {
		jobs[v.Labels[labelJob]] = true
	}
	for _, ct := range containers {
		jobs[ct.Labels[labelJob]] = true
	}
	for _, n := range networks {
		jobs[n.Labels[labelJob]] = true
	}
	return slices.Sorted(maps.Keys(jobs)), nil
}

// RemoveNamed removes one container of a job by the suffix of its name; one that does not exist is no error.
func (c *Client) RemoveNamed(ctx context.Context, owner Owner, suffix string) error {
	ctx, cancel := bounded(ctx, callTimeout, "the removal of a container")
	defer cancel()
	err := c.api.ContainerRemove(ctx, owner.Name+"-"+suffix, container.RemoveOptions{Force: true, RemoveVolumes: !c.KeepVolumes})
	if gone(err) {
		return nil
	}
	return explain(ctx, err, "remove the %s container", suffix)
}
