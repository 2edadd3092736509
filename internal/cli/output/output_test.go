package output_test

import (
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/cli/output"
)

var columns = []output.Column{
	{Title: "id", Path: "id"},
	{Title: "courier", Path: "delivery.courier"},
	{Title: "state", Path: "state"},
	{Title: "overdue", Path: "overdue"},
}

var items = []string{
	`{"id":9007199254740993,"state":"waiting","delivery":{"courier":"Żółw\u001b[2J"},"overdue":true}`,
	`{"id":2,"state":"seen"}`,
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[output.Format]string{
		output.Table: "" +
			"ID                COURIER      STATE    OVERDUE\n" +
			"9007199254740993  Żółw\\x1b[2J  waiting  yes\n" +
			"2                 -            seen     -\n",
		output.JSON:   "[\n  {\n    \"id\": 9007199254740993,\n    \"state\": \"waiting\",\n    \"delivery\": {\n      \"courier\": \"Żółw\\u001b[2J\"\n    },\n    \"overdue\": true\n  },\n  {\n    \"id\": 2,\n    \"state\": \"seen\"\n  }\n]\n",
		output.NDJSON: strings.Join(items, "\n") + "\n",
	} {
		var out strings.Builder
		more, err := output.Writer{Out: &out, Format: format}.List(answers(nil, items...), columns, 0)
		if err != nil || more {
			t.Fatal(format, more, err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", format, diff)
		}
	}
}

func TestNoItems(t *testing.T) {
	t.Parallel()
	for format, want := range map[output.Format]string{output.Table: "ID  COURIER  STATE  OVERDUE\n", output.JSON: "[]\n", output.NDJSON: ""} {
		var out strings.Builder
		if _, err := (output.Writer{Out: &out, Format: format}).List(answers(nil), columns, 0); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", format, &out, err, want)
		}
	}
}

// TestCompact: what no row has takes no room on a terminal.
func TestCompact(t *testing.T) {
	t.Parallel()
	for want, given := range map[string][]string{
		"ID  STATE\n2   seen\n3   -\n": {items[1], `{"id":3}`}, "ID  COURIER  STATE  OVERDUE\n": nil,
	} {
		var out strings.Builder
		if _, err := (output.Writer{Out: &out, Format: output.Table, Compact: true}).List(answers(nil, given...), columns, 0); err != nil || out.String() != want {
			t.Errorf("%q, %v; want %q", &out, err, want)
		}
	}
}

func TestLimitReportsMore(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]bool{1: true, 2: false, 3: false} {
		var out strings.Builder
		more, err := output.Writer{Out: &out, Format: output.NDJSON}.List(answers(nil, items...), columns, limit)
		if err != nil || more != want || strings.Count(out.String(), "\n") != min(limit, len(items)) {
			t.Errorf("limit %d: more %v, %v:\n%s", limit, more, err, &out)
		}
	}
}

// A list that failed midway is not printed as if it were complete.
func TestFailureWritesNoDocument(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var out strings.Builder
	_, err := output.Writer{Out: &out, Format: output.JSON}.List(answers(broken, items...), columns, 0)
	if !errors.Is(err, broken) || out.String() != "" {
		t.Errorf("%v, %q", err, &out)
	}
}

func TestOneItem(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := (output.Writer{Out: &out, Format: output.Table, Color: true}).Item(json.RawMessage(items[1][:len(items[1])-1]+`,"overdue":false}`), columns); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("id       2\nstate    seen\noverdue  no\n", out.String()); diff != "" { // an absent field is left out
		t.Error(diff)
	}
}

// Colours must not shift the columns.
func TestColors(t *testing.T) {
	t.Parallel()
	var colored, bare strings.Builder
	for w, color := range map[*strings.Builder]bool{&colored: true, &bare: false} {
		if _, err := (output.Writer{Out: w, Format: output.Table, Color: color}).List(answers(nil, items...), columns, 0); err != nil {
			t.Fatal(err)
		}
	}
	stripped := strings.NewReplacer("\x1b[33m", "", "\x1b[0m", "").Replace(colored.String())
	if stripped != bare.String() || stripped == colored.String() {
		t.Errorf("coloured:\n%q\nbare:\n%q", &colored, &bare)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		output.Clock("2026-01-02T15:04:05Z"):          "2026-01-02 15:04:05Z",
		output.Clock("2026-01-03T01:04:06.789+10:00"): "2026-01-02 15:04:06Z",
		output.Clock("soon"):                          "soon",
		output.Seconds(json.Number("90.04")):          "1m30s",
		output.Percent(json.Number("0.125")):          "12.5%",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// answers yields documents, then err unless it is nil.
func answers(err error, documents ...string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, d := range documents {
			if !yield(json.RawMessage(d), nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// TestJSONControlsNoTerminal: the escaped document has the same values.
func TestJSONControlsNoTerminal(t *testing.T) {
	t.Parallel()
	const name = "a\u202Egpj.exe\u2066\u200F\u009B31m\u007F\u2028\U000E0041\u00A0ё"
	item, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	raw := json.RawMessage(strings.ReplaceAll(string(item), `\u2028`, "\u2028"))
	for _, format := range []output.Format{output.JSON, output.NDJSON} {
		var out strings.Builder
		if err := (output.Writer{Out: &out, Format: format}).Item(raw, nil); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(out.String()), &back); err != nil || back["name"] != name {
			t.Errorf("%s: %q, %v", format, back["name"], err)
		}
		if shown := output.PrintableLines(out.String()); shown != out.String() || !strings.Contains(shown, "ё") {
			t.Errorf("%s: %s", format, shown)
		}
	}
}
