package ordersim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// journal is the state file: JSON lines, one whole record a change, the last
// line of an order wins. A line is one write, so a process killed at any moment
// leaves at most one torn line, at the end. There is no fsync: it outlives the
// process, not a power cut. A nil journal keeps nothing and never fails.
type journal struct {
	file *os.File
	size int64 // of the whole lines
}

// openJournal reads a state file, rewrites it with one line an order, and opens
// it for appending. The records come in order of creation. A file that does not
// exist is an empty one.
func openJournal(path string) (*journal, []*record, error) {
	records, err := readState(path)
	if err != nil {
		return nil, nil, fmt.Errorf("ordersim: state file: %w", err)
	}
	j := &journal{}
	if err := j.compact(path, records); err != nil {
		return nil, nil, fmt.Errorf("ordersim: state file: %w", err)
	}
	return j, records, nil
}

// append adds a record. On failure the file is cut back to its whole lines, so
// that a full disk does not leave a torn line in its middle.
func (j *journal) append(r *record) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		return errors.Join(err, j.file.Truncate(j.size))
	}
	j.size += int64(n)
	return nil
}

// reset empties the file.
func (j *journal) reset() error {
	if j == nil {
		return nil
	}
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	j.size = 0
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// compact writes the records beside the file and moves them into its place: a
// crash in between leaves the old file whole.
func (j *journal) compact(path string, records []*record) error {
	tmp, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("%w (its directory %s must exist and be writable)", err, filepath.Dir(path))
	}
	j.file, j.size = tmp, 0
	for _, r := range records {
		if err = j.append(r); err != nil {
			break
		}
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
	}
	return nil
}

// readState returns the last record of each order, in order of creation.
func readState(path string) ([]*record, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	lines = lines[:len(lines)-1] // what follows the last newline is empty, or torn
	var records []*record
	place := map[string]int{}
	for i, line := range lines {
		var r record
		err := json.Unmarshal(line, &r)
		if err == nil && r.ID == "" {
			err = errors.New("it has no id")
		}
		if err != nil {
			return nil, fmt.Errorf("%s line %d is not an order (%w): remove that line, or the file to start empty", path, i+1, err)
		}
		if at, known := place[r.ID]; known {
			records[at] = &r
			continue
		}
		place[r.ID] = len(records)
		records = append(records, &r)
	}
	return slices.Clip(records), nil
}
