package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
)

// imageJob is a job that compiles the project's program, makes an image of it alone, and runs that.
func (g *goHost) imageJob(name string, more ...string) job {
	script := slices.Concat(buildAndTest, []string{
		"go build -o app .", `printf 'FROM scratch\nCOPY app /app\nENTRYPOINT ["/app"]\n' > Dockerfile`,
		"docker build -t " + name + " .", `echo "it prints $(docker run --rm ` + name + ` 2>&1)"`,
	}, more)
	return withoutC(g.goJob(script...)).with("image", job{"name": dockerImage})
}

// builtName is the name of an image that no other test makes.
func (g *goHost) builtName() string {
	return "local/gitlab-go-executor/built:" + strings.ReplaceAll(g.instance, "+", "-")
}

func TestAJobBuildsAnImageWithTheDockerOfTheHost(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, `volumes = ["/var/run/docker.sock:/var/run/docker.sock"]`).warmWithoutC()
	name := g.builtName()
	t.Cleanup(func() {
		if _, err := dockerAPI.ImageRemove(context.Background(), name, image.RemoveOptions{PruneChildren: true}); err != nil {
			t.Errorf("the job left no image on this host: %v", err)
		}
	})
	g.prints(g.secondIsWarm(func() job { return g.imageJob(name) }), "it prints v1.1.0 5")
}

// Services and variables are those of GitLab's documentation (Use Docker to build Docker images, Docker-in-Docker with TLS disabled).
func TestAJobBuildsAnImageWithADockerOfItsOwn(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, privileged(t)).warmWithoutC()
	name := g.builtName()
	r := g.secondIsWarm(func() job {
		return g.imageJob(name, `echo "images: $(docker image ls -q | wc -l)"`).with("services", []job{{"name": dockerImage, "alias": "docker"}}).
			variable("DOCKER_HOST", "tcp://docker:2375").variable("DOCKER_TLS_CERTDIR", "")
	})
	g.prints(r, "it prints v1.1.0 5", "images: 1")
	if _, err := dockerAPI.ImageInspect(context.Background(), name); err == nil {
		t.Error("the image was made on this host")
	}
}
