// Package try runs a job without GitLab: it plays GitLab Runner, and the stage commands cannot tell the difference.
//
// It reads the job from a repository's .gitlab-ci.yml, or takes an image and commands, writes the payload and the scripts
// that Runner would have written, and calls config, prepare, run and cleanup in Runner's order and with Runner's
// environment. What it prints at the end is the time of each stage.
//
// Read Run first, then source (what is built), plan (what the job is), job (how Runner runs it) and report.
package try
