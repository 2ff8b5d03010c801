// Package outcome decides how a job, or one stage of it, ended. It is the only classifier of errors: whatever goes wrong
// in a stage is turned by Of into one outcome and one reason from closed sets, and log lines, metrics, alerts and the
// runbook use the same words.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Outcome says how a job ended.
type Outcome string

// The closed set of outcomes.
const (
	Success      Outcome = "success"       // every stage ended with exit code 0
	ScriptFailed Outcome = "script_failed" // a script of the user's ended with another code
	JobInvalid   Outcome = "job_invalid"   // the job's definition cannot run here; trying again would not help
	SystemFailed Outcome = "system_failed" // Docker, the disk, the settings or this program failed; Runner tries again
	Canceled     Outcome = "canceled"      // somebody, or the Runner, stopped the job
	TimedOut     Outcome = "timed_out"     // the job's own time limit stopped it
	Lost         Outcome = "lost"          // the Runner died without saying how the job ended
)

// Reason says why a job ended other than with success.
type Reason string

// The closed set of reasons.
const (
	None            Reason = ""
	ExitCode        Reason = "exit_code"         // script_failed: the script's own exit code
	OutOfMemory     Reason = "out_of_memory"     // script_failed: the kernel killed the container at its memory limit
	NoImage         Reason = "no_image"          // job_invalid: neither the job nor the settings name an image
	ImageNotAllowed Reason = "image_not_allowed" // job_invalid: not in allowed_images or allowed_services
	ImageNotFound   Reason = "image_not_found"   // job_invalid: no registry has it, or policy never and it is not here
	ImageDenied     Reason = "image_denied"      // job_invalid: the registry refuses the credentials
	ImageUnusable   Reason = "image_unusable"    // job_invalid: no shell, an entrypoint or a user that cannot start
	PullPolicy      Reason = "pull_policy"       // job_invalid: unknown, or not in allowed_pull_policies
	BadDefinition   Reason = "bad_definition"    // job_invalid: another value in the job that cannot be used
	PayloadInvalid  Reason = "payload_invalid"   // system_failed: what the Runner handed over cannot be read
	RunnerTooOld    Reason = "runner_too_old"    // system_failed: the Runner lacks a part of the contract
	SettingsInvalid Reason = "settings_invalid"  // system_failed: our settings file
	DockerGone      Reason = "docker_gone"       // system_failed: the daemon does not answer
	DockerFailed    Reason = "docker_failed"     // system_failed: the daemon answered with an error
	RegistryFailed  Reason = "registry_failed"   // system_failed: the registry cannot be reached or broke off
	HelperUnusable  Reason = "helper_unusable"   // system_failed: the helper image lacks git, gitlab-runner or a shell
	ContainerLost   Reason = "container_lost"    // system_failed: a container of the job went away under it
	DiskFull        Reason = "disk_full"         // system_failed: no space left on the host
	StateFailed     Reason = "state_failed"      // system_failed: state_dir cannot be read or written
	StageKilled     Reason = "stage_killed"      // system_failed: the process of a stage was killed, and nobody had asked it to stop
	Deadline        Reason = "deadline"          // system_failed: a call did not end within its limit
	Signal          Reason = "signal"            // canceled: the Runner asked the stage to stop
	JobTimeout      Reason = "job_timeout"       // timed_out: the same, at the job's time limit
	RunnerGone      Reason = "runner_gone"       // lost: the Runner process of the job no longer exists
	Bug             Reason = "bug"               // system_failed: an error that nobody gave a reason
)

// Reasons are all outcomes, each with the reasons that it can have.
func Reasons() map[Outcome][]Reason {
	return map[Outcome][]Reason{
		Success:      {None},
		ScriptFailed: {ExitCode, OutOfMemory},
		JobInvalid:   {NoImage, ImageNotAllowed, ImageNotFound, ImageDenied, ImageUnusable, PullPolicy, BadDefinition},
		SystemFailed: {
			PayloadInvalid, RunnerTooOld, SettingsInvalid, DockerGone, DockerFailed, RegistryFailed, HelperUnusable, ContainerLost, DiskFull, StateFailed,
			StageKilled, Deadline, Bug,
		},
		Canceled: {Signal},
		TimedOut: {JobTimeout},
		Lost:     {RunnerGone},
	}
}

// Failure is an error that knows what it means for the job.
type Failure struct {
	Outcome Outcome
	Reason  Reason
	Code    int   // the script's exit code, for ScriptFailed
	Err     error // what happened, in a sentence that the reader can act on
}

// Error implements error.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Failure) Unwrap() error { return f.Err }

// Job reports a mistake in the job's definition: the job fails at once and is not tried again.
func Job(reason Reason, format string, args ...any) error {
	return &Failure{Outcome: JobInvalid, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// System reports a failure of the host, of Docker or of this program: the Runner may try again.
func System(reason Reason, format string, args ...any) error {
	return &Failure{Outcome: SystemFailed, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Script reports the end of a user's script with a code other than 0.
func Script(code int, reason Reason) error {
	if reason == OutOfMemory {
		return &Failure{ScriptFailed, reason, code, fmt.Errorf("the container reached its memory limit and was killed by the kernel: exit code %d", code)}
	}
	return &Failure{ScriptFailed, reason, code, fmt.Errorf("the script ended with exit code %d", code)}
}

// ErrStopped is the cause of a context that the Runner's signal ended.
var ErrStopped = errors.New("stopped by the GitLab Runner")

// ErrTimedOut is the cause of a context that the Runner's signal ended when the job's time was up.
var ErrTimedOut = errors.New("stopped by the GitLab Runner at the job's time limit")

// Of classifies any error, nil included. The result's Err is never nil unless its Outcome is Success.
func Of(err error) Failure {
	var f *Failure
	switch {
	case err == nil:
		return Failure{Outcome: Success}
	case errors.Is(err, ErrTimedOut):
		return Failure{TimedOut, JobTimeout, 0, err}
	case errors.Is(err, ErrStopped):
		return Failure{Canceled, Signal, 0, err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Failure{SystemFailed, DiskFull, 0, err}
	case errors.As(err, &f):
		return Failure{f.Outcome, f.Reason, f.Code, err}
	case errors.Is(err, context.DeadlineExceeded):
		return Failure{SystemFailed, Deadline, 0, err}
	}
	return Failure{SystemFailed, Bug, 0, err}
}

// UsersFault says whether the exit code for a build failure is due, which ends the job at once, and not the one for a
// system failure, after which the Runner prepares the job again.
func (f Failure) UsersFault() bool { return f.Outcome == ScriptFailed || f.Outcome == JobInvalid }
