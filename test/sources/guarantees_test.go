package sources

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// requiredFaults are the faults and hostile inputs that must be tested, with the test
// of each.
var requiredFaults = map[string]string{
	"every event 5 times, shuffled over partitions, 2 replicas":       "TestEventsFiveTimesShuffled",
	"10 % of created and completed never published":                   "TestLostEventsAreResynced",
	"a deleted never published":                                       "TestDeletedIsNeverPublished",
	"… freed under DELIVERY_OVERDUE=hold":                             "TestOverdueDeliveriesAreHeld",
	"deleted while service-order is unavailable, replica crashes":     "TestDeletedWhileServiceOrderIsUnavailable",
	"an order ends while an older answer about it is on its way":      "TestAnyHistoryConverges",
	"event ahead of the truth":                                        "TestEventAheadOfServiceOrder",
	"service-order refuses, hangs, answers 503, drips":                "TestServiceOrderIsDown",
	"one order answers 500 for ever":                                  "TestOneOrderThatAlwaysFails",
	"service-order restarted empty":                                   "TestServiceOrderLosesItsState",
	"kill -9 at each moment, kfake":                                   "TestKillMinusNine",
	"kill -9 at each moment, real Kafka":                              "TestTogether/kill_-9_at_each_moment_of_a_batch",
	"broker killed, stopped for 30 s":                                 "TestTogether/Kafka_dies_and_hangs",
	"coordinator moved":                                               "TestCoordinatorAndLeadersMove",
	"members join and leave":                                          "TestMembersJoinAndLeave",
	"partition revoked in mid-batch":                                  "TestRevokedWhileGETStalls",
	"PostgreSQL stopped at once and restarted under load":             "TestPostgresCrashesUnderLoad",
	"COMMIT's answer lost":                                            "TestCommitAnswerIsLost",
	"deadlock and serialization errors injected":                      "TestTemporaryDatabaseErrors",
	"read-only, pool exhausted; health and metrics still answer":      "TestHealthAndMetricsAnswerWithoutPostgres",
	"bad records in a batch of 500 that only PostgreSQL refuses":      "TestRecordsThatOnlyPostgresRefuses",
	"offsets expired":                                                 "TestOffsetsExpire",
	"topic truncated":                                                 "TestTopicIsTruncated",
	"records removed":                                                 "TestRecordsExpireBeforeTheyAreRead",
	"database restored from an older backup":                          "TestDatabaseIsRestored",
	"a courier and an order meet, both orders":                        "TestCourierAndOrderMeet",
	"a crash between COMMIT and match":                                "TestCrashBetweenCommitAndMatch",
	"a row held by another batch while match runs":                    "TestWaitingOrderIsLockedWhileMatchRuns",
	"… 10,000 random trials":                                          "TestRandomMeetings",
	"more orders than couriers":                                       "TestTogether/waiting_orders_are_assigned_in_order",
	"X completed, its courier has Y, X cancelled, or completed again": "TestFreeingIsByOrder",
	"clocks off by 10 min":                                            "TestClocksDiffer",
	"SIGTERM under load, twice":                                       "TestTogether/SIGTERM_under_load",
	"random faults from a seed":                                       "TestChaos",
	"hostile events":                                                  "TestHostileEvents",
	"hostile answers":                                                 "TestHostileAnswers",
	"a forged completed":                                              "TestForgedCompletedChangesNothing",
	"a flood of random ids":                                           "TestFloodOfUnknownIDs",
}

// TestGuaranteesAreTested: every test and file that docs/guarantees.md names exists,
// and every required fault has a row.
func TestGuaranteesAreTested(t *testing.T) {
	named := make(map[string]bool)
	for _, row := range rows(document(t, "guarantees.md")) {
		if len(row) < 4 || row[2] == " Test " {
			continue
		}
		files := spans(row[3])
		if len(files) == 0 {
			t.Errorf("a row names no file: %q", row)
			continue
		}
		parent, tests := "", 0
		for _, name := range spans(row[2]) {
			if sub, ok := strings.CutPrefix(name, "…/"); ok {
				name = parent + "/" + sub
			}
			if !strings.HasPrefix(name, "Test") {
				continue // a flag
			}
			tests++
			parent, _, _ = strings.Cut(name, "/")
			named[name] = true
			if !slices.ContainsFunc(files, func(file string) bool { return hasTest(t, file, name) }) {
				t.Errorf("%s is not in %q", name, files)
			}
		}
		if tests == 0 {
			t.Errorf("a row names no test: %q", row)
		}
	}
	for fault, test := range requiredFaults {
		if !named[test] {
			t.Errorf("docs/guarantees.md has no row of %s for %q", test, fault)
		}
	}
}

// hasTest reports whether a file declares a test. A subtest's name may be anywhere in
// the file's package; its parent must be a test of the package.
func hasTest(t *testing.T, file, name string) bool {
	t.Helper()
	test, sub, isSub := strings.Cut(name, "/")
	if !isSub {
		return declares(parse(t, file), test)
	}
	folder, err := os.ReadDir(filepath.Join(root, filepath.Dir(file)))
	if err != nil {
		t.Fatal(err)
	}
	var parent, literal bool
	for _, entry := range folder {
		if strings.HasSuffix(entry.Name(), "_test.go") {
			source := parse(t, filepath.Join(filepath.Dir(file), entry.Name()))
			parent = parent || declares(source, test)
			literal = literal || hasLiteral(source, strings.ReplaceAll(sub, "_", " "))
		}
	}
	return parent && literal && parse(t, file) != nil
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func declares(source *ast.File, test string) bool {
	return slices.ContainsFunc(source.Decls, func(d ast.Decl) bool {
		function, ok := d.(*ast.FuncDecl)
		return ok && function.Recv == nil && function.Name.Name == test
	})
}

// hasLiteral reports whether the source has exactly this string literal.
func hasLiteral(source *ast.File, want string) (found bool) {
	ast.Inspect(source, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && text(literal) == want {
			found = true
		}
		return true
	})
	return found
}
