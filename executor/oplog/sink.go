package oplog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// queueName is the queue's file in the temporary folder of a job.
const queueName = "operator.log"

// sink is where a logger writes. It keeps errors to itself until Close: logrus would print them on standard error,
// hence in the job log.
type sink struct {
	to    io.Writer
	queue *drain // only in cleanup

	mu    sync.Mutex
	first error
}

// Write writes one line, and never fails.
func (s *sink) Write(line []byte) (int, error) {
	_, err := s.to.Write(line)
	s.note(err)
	return len(line), nil
}

// Close emits what is left of the queue and returns the first error that there was.
func (s *sink) Close() error {
	if s.queue != nil {
		s.emitQueue()
		s.note(s.queue.remove())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// emitQueue copies what has been queued since the last time.
func (s *sink) emitQueue() { s.note(s.queue.copyTo(s.to)) }

// note keeps the first error.
func (s *sink) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil && err != nil {
		s.first = fmt.Errorf("the operator log is incomplete: %w", err)
	}
}

// appender appends each write to a file. Several processes may do so at a time: with O_APPEND, a line that is one
// write stays in one piece. Opening the file anew for each line lets logrotate move it away at any time.
type appender struct {
	path string
	mode fs.FileMode
}

// Write appends to the file.
func (a appender) Write(line []byte) (int, error) {
	file, err := a.open()
	if err != nil {
		return 0, err
	}
	n, err := file.Write(line)
	return n, errors.Join(err, file.Close())
}

// try says whether the file can be appended to.
func (a appender) try() error {
	file, err := a.open()
	if err != nil {
		return err
	}
	return file.Close()
}

func (a appender) open() (*os.File, error) {
	return os.OpenFile(a.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, a.mode)
}

// drain reads a queue. The file stays until all is over, since a run stage may outlive the start of cleanup: GitLab
// Runner waits for it for five minutes only (WaitForBuildFinishTimeout in common/consts.go).
type drain struct {
	path string
	done int64 // how much of it has been emitted
}

// copyTo emits the lines that are new, one write each. It is all right if there is no queue.
func (d *drain) copyTo(w io.Writer) error {
	file, err := os.Open(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = d.copyLines(w, file)
	return errors.Join(err, file.Close())
}

// copyLines completes a last line that a killed process left without its end.
func (d *drain) copyLines(w io.Writer, file io.ReadSeeker) error {
	if _, err := file.Seek(d.done, io.SeekStart); err != nil {
		return err
	}
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			d.done += int64(len(line))
			if _, err := w.Write(append(bytes.TrimSuffix(line, []byte("\n")), '\n')); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// remove removes the queue, if there is one.
func (d *drain) remove() error {
	if err := os.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
