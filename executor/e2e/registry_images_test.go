package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
)

// image pushes a tiny image whose environment says WHICH, and gives its name. What the host has of that name stays what it is.
func (r *imageRegistry) image(tag, which string) string {
	r.t.Helper()
	name := r.address + "/group/" + tag
	ctx := context.Background()
	before, had := dockerAPI.ImageInspect(ctx, name)
	made, err := dockerAPI.ContainerCreate(ctx, &container.Config{Image: busybox}, nil, nil, nil, "")
	if err != nil {
		r.t.Fatal(err)
	}
	committed, err := dockerAPI.ContainerCommit(ctx, made.ID, container.CommitOptions{Reference: name, Changes: []string{"ENV WHICH=" + which, "LABEL " + ofRegistry + "=" + r.address}})
	if removing := dockerAPI.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true}); removing != nil {
		r.t.Error(removing)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	auth := r.auth
	if auth == "" {
		auth = "e30=" // {}: Docker wants some
	}
	body, err := dockerAPI.ImagePush(ctx, name, image.PushOptions{RegistryAuth: auth})
	if err != nil {
		r.t.Fatal(err)
	}
	defer body.Close()
	if said, err := io.ReadAll(body); err != nil || bytes.Contains(said, []byte(`"error"`)) {
		r.t.Fatalf("push %s: %v\n%s", name, err, said)
	}
	if had == nil {
		if err := dockerAPI.ImageTag(ctx, before.ID, name); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := dockerAPI.ImageRemove(ctx, committed.ID, image.RemoveOptions{Force: true}); err != nil {
		r.t.Fatal(err)
	}
	return name
}

// ofRegistry labels the images of a registry, so that they are found under every name, and under none: the one that a tag stood for
// before it moved.
const ofRegistry = "gitlab-go-executor.e2e.registry"

// forget removes what the host has of this registry's images.
func (r *imageRegistry) forget() {
	r.t.Helper()
	ctx := context.Background()
	mine := filters.NewArgs(filters.Arg("label", ofRegistry+"="+r.address))
	found, err := dockerAPI.ImageList(ctx, image.ListOptions{All: true, Filters: mine})
	if err != nil {
		r.t.Error(err)
	}
	for _, i := range found {
		if _, err := dockerAPI.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true}); err != nil {
			r.t.Errorf("remove image %s: %v", i.ID, err)
		}
	}
}

// pullBehind brings an image to the host, as another job would.
func (r *imageRegistry) pullBehind(name string) {
	r.t.Helper()
	body, err := dockerAPI.ImagePull(context.Background(), name, image.PullOptions{RegistryAuth: r.auth})
	if err != nil {
		r.t.Fatal(err)
	}
	defer body.Close()
	if said, err := io.ReadAll(body); err != nil || bytes.Contains(said, []byte(`"error"`)) {
		r.t.Fatalf("pull %s: %v\n%s", name, err, said)
	}
}

const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	listType     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// digest is where a tag points to.
func (r *imageRegistry) digest(name string) string {
	_, digest := r.manifest(name)
	return digest
}

func (r *imageRegistry) manifest(name string) (content []byte, digest string) {
	r.t.Helper()
	repository, tag := r.split(name)
	return r.call(http.MethodGet, repository+"/manifests/"+tag, manifestType, nil)
}

func (r *imageRegistry) split(name string) (repository, tag string) {
	path, tag, _ := strings.Cut(strings.TrimPrefix(name, r.address+"/"), ":")
	return r.url + "/v2/" + path, tag
}

// platforms makes a tag stand for several images, each for an architecture, and gives its name.
func (r *imageRegistry) platforms(tag string, images map[string]string) string {
	r.t.Helper()
	name := r.address + "/group/" + tag
	repository, version := r.split(name)
	var entries []job
	for arch, from := range images {
		content, _ := r.manifest(from)
		var manifest map[string]any
		r.decode(content, &manifest)
		old := manifest["config"].(map[string]any)
		content, _ = r.call(http.MethodGet, repository+"/blobs/"+old["digest"].(string), "", nil)
		var config map[string]any
		r.decode(content, &config)
		config["architecture"] = arch
		content = r.encode(config)
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
		r.upload(repository, digest, content)
		manifest["config"] = job{"mediaType": old["mediaType"], "size": len(content), "digest": digest}
		content = r.encode(manifest)
		digest = fmt.Sprintf("sha256:%x", sha256.Sum256(content))
		r.call(http.MethodPut, repository+"/manifests/"+digest, manifestType, content)
		entries = append(entries, job{"mediaType": manifestType, "size": len(content), "digest": digest, "platform": job{"os": "linux", "architecture": arch}})
	}
	r.call(http.MethodPut, repository+"/manifests/"+version, listType, r.encode(job{"schemaVersion": 2, "mediaType": listType, "manifests": entries}))
	return name
}

func (r *imageRegistry) upload(repository, digest string, content []byte) {
	r.t.Helper()
	response := r.do(http.MethodPost, repository+"/blobs/uploads/", "", nil)
	_ = response.Body.Close()
	r.call(http.MethodPut, response.Header.Get("Location")+"&digest="+digest, "application/octet-stream", content)
}

func (r *imageRegistry) decode(content []byte, into any) {
	r.t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		r.t.Fatalf("%v: %s", err, content)
	}
}

func (r *imageRegistry) encode(v any) []byte {
	r.t.Helper()
	content, err := json.Marshal(v)
	if err != nil {
		r.t.Fatal(err)
	}
	return content
}

func (r *imageRegistry) call(method, url, kind string, content []byte) (answer []byte, digest string) {
	r.t.Helper()
	response := r.do(method, url, kind, content)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		r.t.Fatalf("%s %s: %s, %v\n%s", method, url, response.Status, err, answer)
	}
	return answer, response.Header.Get("Docker-Content-Digest")
}

func (r *imageRegistry) do(method, url, kind string, content []byte) *http.Response {
	r.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(content))
	if err != nil {
		r.t.Fatal(err)
	}
	if kind != "" {
		request.Header.Set("Accept", kind)
		request.Header.Set("Content-Type", kind)
	}
	if r.auth != "" {
		request.SetBasicAuth(registryUser, registryPassword)
	}
	response, err := r.client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	return response
}
