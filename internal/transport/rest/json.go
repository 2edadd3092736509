package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// formats are huma's, with the integers of JSON Schema: 7.0 is one, which
// encoding/json refuses, and some languages write it so.
func formats() map[string]huma.Format {
	all := maps.Clone(huma.DefaultFormats)
	for name, f := range all {
		f.Unmarshal = unmarshal
		all[name] = f
	}
	return all
}

func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok || !strings.HasPrefix(mismatch.Value, "number") {
		return err
	}
	rewritten, err := integral(data)
	if err != nil {
		return err
	}
	return json.Unmarshal(rewritten, v)
}

// integral writes whole numbers without a fraction.
func integral(data []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(withoutFractions(v))
}

func withoutFractions(v any) any {
	const exact = 1 << 53 // beyond it, a float does not know which integer it is
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = withoutFractions(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutFractions(v[i])
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && f == math.Trunc(f) && math.Abs(f) < exact {
			return json.Number(strconv.FormatInt(int64(f), 10))
		}
	}
	return v
}
