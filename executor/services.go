package executor

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
)

// startServices starts all services and waits until they can be used.
func (j *job) startServices(ctx context.Context, plan []servicePlan, images []docker.Image, log io.Writer) error {
	if len(plan) == 0 {
		return nil
	}
	services := make([]docker.Service, len(plan))
	group, gctx := errgroup.WithContext(ctx)
	for i, service := range plan {
		group.Go(func() error {
			name := service.request.Name
			fmt.Fprintf(log, "Starting service %s as %s\n", name, strings.Join(service.aliases, ", "))
			id, err := j.createAndStart(gctx, serviceName(i), j.serviceSpec(i, service, images[i], j.network()))
			services[i] = docker.Service{ID: id, Name: name, Aliases: service.aliases}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := j.store.update(func(r *Record) { r.Services = services }); err != nil {
		return err
	}
	defer j.followServices(ctx, log)()
	limit := time.Duration(j.settings.Docker.WaitForServicesTimeout) * time.Second
	if limit <= 0 {
		return nil // the administrator wants no wait
	}
	fmt.Fprintf(log, "Waiting for services to be up and running (timeout %d seconds)...\n", j.settings.Docker.WaitForServicesTimeout)
	return j.docker.WaitHealthy(ctx, services, limit, log)
}

// debugServices is the variable by which a job wants to see what its services print.
const debugServices = "CI_DEBUG_SERVICES"

// servicesShown says whether the services' own logs belong into the job log.
func (j *job) servicesShown() bool { return j.isOn(debugServices) }

// followServices shows what the services print while this stage runs, and before it what they printed between the stages, during which no
// process of ours lives. What it gives ends it.
func (j *job) followServices(ctx context.Context, log io.Writer) (stop func()) {
	services := j.store.get().Services
	if len(services) == 0 || !j.servicesShown() {
		return func() {}
	}
	end := j.docker.FollowLogs(ctx, services, log)
	return func() {
		shown := end()
		if err := j.noteRecord(func(r *Record) { r.Services = shown }); err != nil {
			j.log.WithError(err).Warn("the job log will show lines of services twice")
		}
	}
}

// network is where the containers of the job are: in a network of its own, unless the administrator names another.
func (j *job) network() string {
	if !j.settings.Docker.OwnNetwork() {
		return j.settings.Docker.NetworkMode
	}
	return j.store.object(objectNetwork)
}

// makeNetwork makes the job's network, or checks that the administrator's is there.
func (j *job) makeNetwork(ctx context.Context) error {
	if !j.settings.Docker.OwnNetwork() {
		return j.docker.FindNetwork(ctx, j.settings.Docker.NetworkMode)
	}
	owner, d := j.store.get().Owner, j.settings.Docker
	_, err := j.store.creating(objectNetwork, func() (string, error) {
		return j.docker.CreateNetwork(ctx, owner, j.networkName(), d.NetworkMTU, d.EnableIPv6)
	})
	return err
}

var networkName = regexp.MustCompile(`^runner-[a-z0-9-]+-([0-9]+)-[0-9]+-([0-9]+)$`)

// networkName is what Runner tells a job with FF_NETWORK_PER_BUILD that its network is called, which a job that talks to Docker relies on.
// A job could forge it; with its own number in it, it names nothing but its own.
func (j *job) networkName() string {
	told := j.env.Variables["CI_BUILD_NETWORK_NAME"]
	if found := networkName.FindStringSubmatch(told); len(found) == 3 && found[1] == j.id.Project && found[2] == j.id.Job {
		return told
	}
	return j.store.get().Owner.Name
}

// serviceHosts are lines for /etc/hosts in Docker's default network, which knows no names.
func (j *job) serviceHosts(ctx context.Context) ([]string, error) {
	if !j.settings.Docker.DefaultBridge() {
		return nil, nil
	}
	var hosts []string
	for _, s := range j.store.get().Services {
		ips, err := j.docker.Addresses(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, ip := range ips {
			for _, name := range append([]string{s.ID[:min(len(s.ID), 12)]}, s.Aliases...) { // the short id is known in other networks too
				hosts = append(hosts, name+":"+ip)
			}
		}
	}
	return hosts, nil
}
