// Package ci reads one job out of a .gitlab-ci.yml, as far as it can be run without a GitLab.
//
// What only decides when a job runs, or what becomes of its results, is left out and named in Job.Ignored. What would
// change what the job does, and needs GitLab or other files, is refused: a job run differently from what its author wrote
// would answer another question than the one asked. All that is wrong is reported at once, each with its line.
//
// The syntax is that of https://docs.gitlab.com/ci/yaml/.
package ci
