package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// tail is the end of what a program printed.
func (i instance) tail() string {
	const most = 8000
	content := i.read()
	return string(content[max(0, len(content)-most):])
}

func (i instance) read() []byte {
	content, err := os.ReadFile(i.log)
	if err != nil {
		return []byte(err.Error())
	}
	return content
}

// printed returns nil when the text is in the log.
func (i instance) printed(text string) error {
	if bytes.Contains(i.read(), []byte(text)) {
		return nil
	}
	return fmt.Errorf("%q is not in its log", text)
}

// line is a log line of the service.
type line struct {
	Level string `json:"level"`
	Msg   string `json:"msg"`
	What  string `json:"what"`
	Error string `json:"error"`
}

// lines returns the log of the service, which is JSON, a line each.
func (i instance) lines() []line {
	var all []line
	for scanner := bufio.NewScanner(bytes.NewReader(i.read())); scanner.Scan(); {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			l.Msg = scanner.Text()
		}
		all = append(all, l)
	}
	return all
}
