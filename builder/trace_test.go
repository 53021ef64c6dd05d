package builder_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/builder"
)

func TestTrace(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int, kind builder.EventKind, stage string) builder.Event {
		return builder.Event{Time: start.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Stage: stage}
	}
	var buf bytes.Buffer
	err := builder.WriteTrace(&buf, []builder.Event{
		at(0, builder.Planned, "a"), at(1, builder.Started, "a"), at(2, builder.Started, "b"), at(3, builder.Cached, "c"),
		at(4, builder.Finished, "a"), at(5, builder.Started, "d"), at(6, builder.Progress, "d"), at(9, builder.Failed, "d"),
		at(10, builder.Finished, "b"), at(11, builder.Completed, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	type event struct {
		Name string
		Ph   string
		TS   int64
		Dur  int64
		TID  int
	}
	var doc struct{ TraceEvents []event }
	if err := json.Unmarshal(buf.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	want := []event{
		{Name: "process_name", Ph: "M"},
		{Name: "c", Ph: "i", TS: 3000},
		{Name: "a", Ph: "X", TS: 1000, Dur: 3000, TID: 1},
		{Name: "d", Ph: "X", TS: 5000, Dur: 4000, TID: 1}, // in the row that a left
		{Name: "b", Ph: "X", TS: 2000, Dur: 8000, TID: 2},
	}
	if diff := cmp.Diff(want, doc.TraceEvents); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := builder.WriteTrace(&buf, nil); err != nil {
		t.Error(err)
	}
}
