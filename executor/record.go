package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/goenv"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// Record is what the stages of a job tell each other. It exists before anything of the job is created, and each object is
// noted in it before its creation, with no id, and again right after, so that a crash at any point leaves a trace of
// all there is. A record is also the job's claim on its slot.
type Record struct {
	Identity runner.Identity   `json:"identity"`
	Created  time.Time         `json:"created"`
	Lease    Lease             `json:"lease"`
	Slot     int               `json:"slot"`
	Files    string            `json:"files,omitempty"` // the folder of file variables, in the slot's
	Owner    docker.Owner      `json:"owner"`
	Image    docker.Image      `json:"image"`           // the job's, pinned for its life
	Go       goenv.Image       `json:"go"`              // that the image has
	NoGo     cache.Reason      `json:"no_go,omitempty"` // why Go is not known
	Tool     string            `json:"tool"`            // this program, where Docker sees it; empty if it cannot be had there
	Caches   Caches            `json:"caches"`
	Row      stats.Job         `json:"row"` // of the job in the ledger, as far as it is known
	Services []docker.Service  `json:"services,omitempty"`
	Objects  map[string]string `json:"objects"`          // name → Docker's id, empty while being created
	Failed   *Verdict          `json:"failed,omitempty"` // the first failure
	Finished bool              `json:"finished"`         // Runner's last stage has run
}

// Verdict is the outcome of a job as far as it is decided.
type Verdict struct {
	Outcome outcome.Outcome `json:"outcome"`
	Reason  outcome.Reason  `json:"reason"`
	Stage   string          `json:"stage"`
}

// Names in Record.Objects.
const (
	objectNetwork = "network"
	objectHelper  = "helper"
	objectBuild   = "build"
	objectProbe   = "probe"
)

// store keeps one record on disk. Several goroutines of one stage may use it; stages of one job run one after another,
// except that cleanup may begin while a run that the Runner gave up on is still ending.
type store struct {
	mu     sync.Mutex
	dir    string
	record Record
	masked *oplog.Redactor // what may not be in the row; nil if nobody knows
}

const (
	recordName  = "record.json"
	endedName   = "ended"
	runningName = "running"
)

// createStore makes a job's folder with its record. The folder appears by a rename, complete.
func createStore(dir string, r Record) (*store, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, stateError(err)
	}
	staging, err := os.MkdirTemp(filepath.Dir(dir), stagingPrefix)
	if err != nil {
		return nil, stateError(err)
	}
	s := &store{dir: staging, record: r}
	if err := s.save(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(staging))
	}
	crash.At(crash.RecordStaged)
	if err := os.Rename(staging, dir); err != nil { // fails on a job that has a record: never replace another's
		return nil, errors.Join(stateError(err), os.RemoveAll(staging))
	}
	s.dir = dir
	crash.At(crash.RecordPlaced)
	return s, nil
}

// openStore reads the record of a job that was prepared.
func openStore(dir string) (*store, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir}
	if err := json.Unmarshal(data, &s.record); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, recordName), err)
	}
	if s.record.Objects == nil { // whoever wrote it had none
		s.record.Objects = map[string]string{}
	}
	return s, nil
}

// update changes the record and saves it.
func (s *store) update(change func(*Record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.record)
	maskRow(&s.record.Row, s.masked)
	return s.save()
}

// get gives a copy; its map must not be changed.
func (s *store) get() Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// object gives the id of a Docker object of the job.
func (s *store) object(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.Objects[name]
}

// creating notes an object before and right after its creation.
func (s *store) creating(name string, create func() (string, error)) (string, error) {
	note := func(id string) error { return s.update(func(r *Record) { r.Objects[name] = id }) }
	if err := note(""); err != nil {
		return "", err
	}
	crash.At(crash.ObjectNoted)
	id, err := create()
	if err != nil {
		return "", err
	}
	crash.At(crash.ObjectMade)
	return id, note(id)
}

// save writes the record beside itself and renames it into place.
func (s *store) save() error {
	data, err := json.MarshalIndent(&s.record, "", "  ")
	if err != nil {
		return stateError(err)
	}
	path := filepath.Join(s.dir, recordName)
	mine := fmt.Sprintf("%s.%d", path, os.Getpid()) // a stage that the Runner gave up on may still be writing
	if err := os.WriteFile(mine, data, 0o600); err != nil {
		return stateError(err)
	}
	if err := os.Rename(mine, path); err != nil {
		return stateError(err)
	}
	return nil
}

// end notes that cleanup has begun, so that whatever is left may be reaped. It is a file of its own, which no stage that is
// still ending can take back.
func (s *store) end() error {
	if err := os.WriteFile(filepath.Join(s.dir, endedName), nil, 0o600); err != nil {
		return stateError(err)
	}
	return nil
}

func (s *store) ended() bool {
	_, err := os.Stat(filepath.Join(s.dir, endedName))
	return err == nil
}

// abandoned says that cleanup has not begun, and not been there either: it notes its beginning first and removes the record last.
func (s *store) abandoned() bool {
	if s.ended() {
		return false
	}
	_, err := os.Stat(filepath.Join(s.dir, recordName))
	return err == nil
}

// endedAt is when that was.
func (s *store) endedAt() time.Time {
	info, err := os.Stat(filepath.Join(s.dir, endedName))
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}

// killed is the stage whose process was killed without anybody having asked it to stop, if that has happened to the last one.
func (s *store) killed() string {
	stage, err := os.ReadFile(filepath.Join(s.dir, runningName))
	if err != nil {
		return ""
	}
	return string(stage)
}

// stageBegins notes, in a file of its own, that a stage runs. Its end takes the note away, and so does the Runner's signal: what follows that is no
// surprise. If the stage before was killed, that was the job's failure: the Runner goes on with what is due after one. That something cannot be noted is
// no reason to fail.
func (j *job) stageBegins(stage string) {
	if killed := j.store.killed(); killed != "" && j.env.Decides(runner.Stage(killed)) {
		if err := j.noteFailure(killed, outcome.Failure{Outcome: outcome.SystemFailed, Reason: outcome.StageKilled}); err != nil {
			j.log.WithError(err).Warn("that the stage before was killed cannot be noted")
		}
	}
	if err := os.WriteFile(filepath.Join(j.tree.job(j.id), runningName), []byte(stage), 0o600); err != nil {
		j.log.WithError(err).Warn("that the stage runs cannot be noted")
	}
}

func (j *job) stageEnds() { _ = os.Remove(filepath.Join(j.tree.job(j.id), runningName)) }

// Prefixes of folders that no lookup sees: half made, or on their way out.
const (
	stagingPrefix = ".new-"
	deadPrefix    = ".dead-"
)

// bury makes a job's folder disappear by a rename, then deletes it. A folder that is gone is no error.
func bury(dir string) error {
	dead := filepath.Join(filepath.Dir(dir), fmt.Sprintf("%s%s-%d", deadPrefix, filepath.Base(dir), time.Now().UnixNano()))
	if err := os.Rename(dir, dead); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return stateError(err)
	}
	crash.At(crash.FolderBuried)
	if err := os.RemoveAll(dead); err != nil {
		return stateError(err)
	}
	return nil
}

func stateError(err error) error {
	return outcome.System(outcome.StateFailed, "state_dir cannot be used: %w", err)
}
