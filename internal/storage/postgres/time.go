package postgres

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// clampTimes makes every time that c reads one of the years 1 to 9999, which is all that
// JSON can express, and every interval one that a time.Duration can. A row of another
// program, with 'infinity' for instance, then hides no other row of its page.
func clampTimes(c *pgx.Conn) {
	c.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: clampedTimestamptz{&pgtype.TimestamptzCodec{ScanLocation: time.UTC}}})
	c.TypeMap().RegisterType(&pgtype.Type{Name: "interval", OID: pgtype.IntervalOID, Codec: clampedInterval{}})
}

// Microseconds since 2000, as PostgreSQL sends a time.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - epoch
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro() - epoch
	epoch     = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)

type clampedTimestamptz struct{ *pgtype.TimestamptzCodec }

// PlanScan implements pgtype.Codec.
func (c clampedTimestamptz) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	return clamped(c.TimestamptzCodec.PlanScan(m, oid, format, target), format, func(src []byte) []byte {
		if len(src) != 8 {
			return src
		}
		micros := int64(binary.BigEndian.Uint64(src)) //nolint:gosec // the bits of an int64
		if micros >= firstTime && micros <= lastTime {
			return src
		}
		return binary.BigEndian.AppendUint64(nil, uint64(min(max(micros, firstTime), lastTime))) //nolint:gosec // the bits of an int64
	})
}

// maxInterval is less than the longest time.Duration, 292 years.
const maxInterval = 100 * 365 * 24 * time.Hour

type clampedInterval struct{ pgtype.IntervalCodec }

// PlanScan implements pgtype.Codec.
func (c clampedInterval) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	return clamped(c.IntervalCodec.PlanScan(m, oid, format, target), format, func(src []byte) []byte {
		if len(src) != 16 {
			return src
		}
		micros := float64(int64(binary.BigEndian.Uint64(src)))                                                          //nolint:gosec // the bits of an int64
		days := float64(int32(binary.BigEndian.Uint32(src[8:]))) + 30*float64(int32(binary.BigEndian.Uint32(src[12:]))) //nolint:gosec // the bits of an int32
		total := micros + days*float64((24*time.Hour).Microseconds())
		if math.Abs(total) <= float64(maxInterval.Microseconds()) {
			return src
		}
		limit := math.Copysign(float64(maxInterval.Microseconds()), total)
		return append(binary.BigEndian.AppendUint64(nil, uint64(int64(limit))), make([]byte, 8)...) //nolint:gosec // the bits of an int64
	})
}

// clamped returns a plan that scans what clamp makes of a binary value; nil for no plan.
func clamped(plan pgtype.ScanPlan, format int16, clamp func(src []byte) []byte) pgtype.ScanPlan {
	if plan == nil || format != pgtype.BinaryFormatCode {
		return plan
	}
	return clampedPlan{plan, clamp}
}

type clampedPlan struct {
	pgtype.ScanPlan
	clamp func(src []byte) []byte
}

// Scan implements pgtype.ScanPlan.
func (p clampedPlan) Scan(src []byte, dst any) error { return p.ScanPlan.Scan(p.clamp(src), dst) }
