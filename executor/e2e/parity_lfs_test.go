//go:build parity

package e2e

import (
	"net/http"
	"strings"
)

// lfsCases are jobs of a repository that has files in LFS.
func lfsCases() []parityCase {
	const git = "git -c safe.directory=*" // the checkout may belong to another user
	const look = "cat testdata/large; " + git + " status --short; " + git + " lfs ls-files; " + git + " show HEAD:testdata/large"
	// of makes a job of a repository with an LFS file; the same content makes the same commit.
	of := func(content string, change func(job) job) func(*host) job {
		return func(h *host) job {
			h.sha = h.gitlab.push(h.t, "group/project", "large files", map[string]string{
				".gitattributes": lfsAttributes, "testdata/large": h.gitlab.lfs(content), "README.md": "hello\n",
			})
			j := h.newJob(jobImage, shown(look))
			if change != nil {
				j = change(j)
			}
			return j
		}
	}
	pointers := func(j job) job { return j.variable("GIT_LFS_SKIP_SMUDGE", "1") }
	before := func(content string, change func(job) job) func(*host) []job {
		return func(h *host) []job { return []job{of(content, change)(h)} }
	}
	lost := func(h *host, j job) result {
		h.gitlab.mu.Lock()
		h.gitlab.large = map[string]string{}
		h.gitlab.mu.Unlock()
		return h.run(j)
	}
	downloads := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/lfs-objects/") }
	return []parityCase{
		{name: "LFS", shows: "| content", job: of("content\n", nil)},
		{name: "LFS without the content", job: of("content\n", pointers)},
		{name: "LFS in a second job", shows: "| CONTENT", first: before("content\n", nil), job: of("CONTENT\n", nil)},
		{name: "LFS with the content after one without", shows: "| content", first: before("content\n", pointers), job: of("content\n", nil)},
		{name: "LFS without the content after one with it", shows: "| content", first: before("content\n", nil), job: of("content\n", pointers)},
		{name: "LFS for a user of the image's", shows: "| content", job: of("content\n", func(j job) job { return j.with("image", job{"name": userImage}) })},
		{name: "LFS object that is lost", run: lost, job: of("content\n", nil)},
		{name: "LFS at the second request", shows: "| content", job: of("content\n", nil), run: func(h *host, j job) result {
			h.gitlab.failNext(1, downloads)
			return h.run(j)
		}},
	}
}
