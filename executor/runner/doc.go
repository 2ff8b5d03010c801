// Package runner is the contract with GitLab Runner: what it hands to the four stages (environment, payload, stage
// names) and what it expects back (config's JSON, exit codes). It knows nothing of Docker.
//
// The contract is read from Runner's source: executors/custom/custom.go, executors/custom/command/command.go and
// common/build.go of GitLab Runner 19.4, and the releases since 16.6 for what they lack.
package runner
