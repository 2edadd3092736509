package doctor

import (
	"bytes"
	"encoding/json"
	"testing"
)

func report() Report {
	return Report{
		Okay("settings", "usable"),
		Warning("dead letters", "2 wait", "deadletters list"),
		Failure("kafka", "not\nreached \x1b[31m", "start it").With("127.0.0.1:1", "127.0.0.1:2"),
	}
}

func TestText(t *testing.T) {
	const want = `ok    settings      usable
warn  dead letters  2 wait
                    mend: deadletters list
FAIL  kafka         not reached \x1b[31m
                    127.0.0.1:1
                    127.0.0.1:2
                    mend: start it
3 checks: 1 ok, 1 warn, 1 FAIL
`
	var got bytes.Buffer
	if err := report().WriteText(&got); err != nil || got.String() != want {
		t.Errorf("%v:\n%s\nwant\n%s", err, got.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var got bytes.Buffer
	if err := report().WriteJSON(&got); err != nil {
		t.Fatal(err)
	}
	var back struct {
		OK       bool
		Findings []Finding
	}
	if err := json.Unmarshal(got.Bytes(), &back); err != nil || back.OK || len(back.Findings) != 3 || back.Findings[2].Status != Fail {
		t.Errorf("%v: %+v", err, back)
	}
	got.Reset()
	const line = `{"check":"settings","status":"ok","detail":"usable"}` + "\n"
	if err := report()[:1].WriteLines(&got); err != nil || got.String() != line {
		t.Errorf("%v: %s want %s", err, got.String(), line)
	}
	got.Reset()
	if err := report()[:2].WriteJSON(&got); err != nil || !bytes.Contains(got.Bytes(), []byte(`"ok": true`)) {
		t.Errorf("warnings alone are ok: %v\n%s", err, got.String())
	}
}
