package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

var update = flag.Bool("update", false, "write docs/schema.md instead of comparing")

const schemaDocument = "../../../docs/schema.md"

// schemaIntro begins the document. There are no foreign keys, so that the relations are
// written here.
const schemaIntro = `# Database schema

Written by ` + "`make docs`" + ` from the catalog of a database with the schema; do not edit. The source, with the
reasons, is [00001_init.sql](../internal/storage/postgres/migrations/00001_init.sql).

` + "```mermaid" + `
erDiagram
    couriers ||--o| orders : "order_id: delivers now"
    couriers ||--o{ courier_orders : courier_id
    orders ||--o| courier_orders : order_id
    orders ||--o{ journal : order_id
    couriers ||--o{ courier_statistics : courier_id
    courier_statistics }o--|| daily_statistics : day
    couriers ||--o{ uncounted_deliveries : courier_id
`

// TestSchemaIsDocumented: docs/schema.md is what the catalog says, and each table, view
// and index of the schema has a comment.
func TestSchemaIsDocumented(t *testing.T) {
	f := newFixture(t)
	var doc strings.Builder
	doc.WriteString(schemaIntro)
	tables := f.rows(`SELECT relname, coalesce(obj_description(oid), '') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'service_courier_schema' ORDER BY oid`)
	for _, table := range tables {
		fmt.Fprintf(&doc, "    %s {\n", table[0])
		for _, c := range f.columns(table[0]) {
			fmt.Fprintf(&doc, "        %s %s\n", strings.NewReplacer(" ", "_", "[]", "_array").Replace(c[1]), c[0])
		}
		doc.WriteString("    }\n")
	}
	doc.WriteString("```\n\n## Types\n\n| Type | Values |\n|---|---|\n")
	for _, enum := range f.rows(`SELECT typname, string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_type t JOIN pg_enum e ON enumtypid = t.oid
		WHERE typnamespace = 'public'::regnamespace GROUP BY t.oid, typname ORDER BY t.oid`) {
		fmt.Fprintf(&doc, "| `%s` | %s |\n", enum[0], enum[1])
	}
	doc.WriteString("\n## Tables\n")
	for _, table := range tables {
		f.commented("table", table[0], table[1])
		fmt.Fprintf(&doc, "\n### %s\n\n%s\n\n| Column | Type | Default | Meaning |\n|---|---|---|---|\n", table[0], table[1])
		for _, c := range f.columns(table[0]) {
			fmt.Fprintf(&doc, "| `%s` | %s | %s | %s |\n", c[0], c[1]+c[2], c[3], c[4])
		}
		doc.WriteString("\n")
		for _, c := range f.rows(`SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '` + table[0] + `'::regclass AND contype = 'c' ORDER BY oid`) {
			fmt.Fprintf(&doc, "- `%s`: `%s`\n", c[0], c[1])
		}
		for _, i := range f.rows(`SELECT c.relname, pg_get_indexdef(indexrelid), coalesce(obj_description(indexrelid), '')
			FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = '` + table[0] + `'::regclass ORDER BY indexrelid`) {
			f.commented("index", i[0], i[2])
			_, using, _ := strings.Cut(i[1], " USING ")
			unique := ""
			if strings.HasPrefix(i[1], "CREATE UNIQUE") {
				unique = "unique "
			}
			fmt.Fprintf(&doc, "- `%s`: %s`%s`. %s\n", i[0], unique, using, i[2])
		}
		for _, trigger := range f.rows(`SELECT tgname, regexp_replace(pg_get_triggerdef(oid), '^CREATE TRIGGER \S+ ', '')
			FROM pg_trigger WHERE tgrelid = '` + table[0] + `'::regclass ORDER BY oid`) {
			fmt.Fprintf(&doc, "- `%s`: `%s`\n", trigger[0], trigger[1])
		}
	}
	doc.WriteString("\n## Views\n\n| View | Meaning |\n|---|---|\n")
	for _, v := range f.rows(`SELECT relname, coalesce(obj_description(oid), '') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v' ORDER BY oid`) {
		f.commented("view", v[0], v[1])
		fmt.Fprintf(&doc, "| `%s` | %s |\n", v[0], v[1])
	}
	doc.WriteString("\n## Functions\n\n| Function | Meaning |\n|---|---|\n")
	for _, v := range f.rows(`SELECT oid::regprocedure::text, coalesce(obj_description(oid), '') FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY oid`) {
		f.commented("function", v[0], v[1])
		fmt.Fprintf(&doc, "| `%s` | %s |\n", v[0], v[1])
	}
	if *update {
		if err := os.WriteFile(schemaDocument, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(schemaDocument)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), doc.String()); diff != "" {
		t.Errorf("docs/schema.md is out of date: run make docs\n%s", diff)
	}
}

// columns returns name, type, nullability, default and comment of a table's columns.
func (f fixture) columns(table string) [][]string {
	f.Helper()
	return f.rows(`SELECT attname, replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'), CASE WHEN attnotnull THEN '' ELSE ', null' END,
			CASE WHEN attidentity <> '' THEN 'identity' ELSE coalesce('` + "`" + `' || pg_get_expr(adbin, adrelid) || '` + "`" + `', '') END,
			coalesce(col_description(attrelid, attnum), '')
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = '` + table + `'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`)
}

func (f fixture) commented(kind, name, comment string) {
	f.Helper()
	if comment == "" {
		f.Errorf("%s %s has no comment", kind, name)
	}
}

// rows returns the rows of a query, whose columns are text.
func (f fixture) rows(sql string) [][]string {
	f.Helper()
	rows, _ := f.pool.Query(f.Context(), sql) // CollectRows returns its error
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		values := make([]string, len(row.FieldDescriptions()))
		targets := make([]any, len(values))
		for i := range values {
			targets[i] = &values[i]
		}
		return values, row.Scan(targets...)
	})
	if err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
	return all
}

// TestEnumsAreTheDomain: each enum type has the values of its Go type.
func TestEnumsAreTheDomain(t *testing.T) {
	f := newFixture(t)
	for enum, want := range map[string][]string{
		"courier_status":     texts(courier.StatusAvailable, courier.StatusBusy, courier.StatusPaused),
		"transport_type":     texts(courier.Transports()...),
		"order_state":        texts(courier.States()[1:]...), // without StateNone
		"order_ending":       {courier.ClassCompleted.String(), courier.ClassCancelled.String()},
		"recheck_reason":     texts(orderevent.ReasonMissing, orderevent.ReasonAhead, orderevent.ReasonUnknownStatus, orderevent.ReasonUnavailable),
		"dead_letter_status": texts(deadletters.Pending, deadletters.Redriven, deadletters.Discarded),
		"dead_letter_reason": deadletters.Reasons,
	} {
		got := f.one("SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = '" + enum + "'::regtype")
		if got != strings.Join(want, " ") {
			t.Errorf("%s has %s, the program %v", enum, got, want)
		}
	}
}

func texts[T ~string](values ...T) []string {
	return slices.Collect(func(yield func(string) bool) {
		for _, v := range values {
			if !yield(string(v)) {
				return
			}
		}
	})
}
