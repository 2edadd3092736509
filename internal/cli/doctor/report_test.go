package doctor

import (
	"bytes"
	"encoding/json"
	"testing"

	"service-courier/internal/cli/output"
)

func report() Report {
	return Report{
		okay("settings", "valid"),
		warning("dead letters", "2 pending", "deadletters list"),
		failure("kafka", "not\nreached \x1b[31m", "start it").with("127.0.0.1:1", "127.0.0.1:2"),
	}
}

func write(t *testing.T, r Report, format output.Format) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.write(output.Writer{Out: &out, Format: format}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestText(t *testing.T) {
	const want = `ok    settings      valid
warn  dead letters  2 pending
                    fix: deadletters list
FAIL  kafka         not reached \x1b[31m
                    127.0.0.1:1
                    127.0.0.1:2
                    fix: start it
3 checks: 1 ok, 1 warn, 1 FAIL
`
	if got := write(t, report(), output.Table); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSON(t *testing.T) {
	var back struct {
		OK       bool
		Findings []Finding
	}
	document := write(t, report(), output.JSON)
	if err := json.Unmarshal([]byte(document), &back); err != nil || back.OK || len(back.Findings) != 3 || back.Findings[2].Status != Fail {
		t.Errorf("%v: %+v", err, back)
	}
	const line = `{"check":"settings","status":"ok","detail":"valid"}` + "\n"
	if got := write(t, report()[:1], output.NDJSON); got != line {
		t.Errorf("got %s want %s", got, line)
	}
	if got := write(t, report()[:2], output.JSON); !bytes.Contains([]byte(got), []byte(`"ok": true`)) {
		t.Errorf("warnings alone are ok:\n%s", got)
	}
}
