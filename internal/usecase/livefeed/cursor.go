package livefeed

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Cursor is a place in the journal: everything up to it has been told. A change
// is named by its transaction and its id; neither alone is commit order.
type Cursor struct {
	Tx uint64 // id of the transaction
	ID int64  // 0: before every change of Tx
}

// Compare orders cursors as the journal is read.
func (c Cursor) Compare(other Cursor) int {
	return cmp.Or(cmp.Compare(c.Tx, other.Tx), cmp.Compare(c.ID, other.ID))
}

// String is the cursor as a client keeps it; ParseCursor reads it.
func (c Cursor) String() string {
	return strconv.FormatUint(c.Tx, 36) + "." + strconv.FormatInt(c.ID, 36)
}

// ParseCursor reads what String has written.
func ParseCursor(s string) (Cursor, error) {
	tx, id, _ := strings.Cut(s, ".")
	var c Cursor
	var err error
	if c.Tx, err = strconv.ParseUint(tx, 36, 64); err == nil {
		c.ID, err = strconv.ParseInt(id, 36, 64)
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("%.40q is no cursor of the journal", s)
	}
	return c, nil
}
