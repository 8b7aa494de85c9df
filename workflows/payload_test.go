package workflows_test

import (
	"strings"
	"testing"

	"go.temporal.io/sdk/converter"

	"onevault/alert"
	"onevault/workflows"
)

func TestDataConverter_PacksLargeValuesAndLeavesSmallOnesReadable(t *testing.T) {
	t.Parallel()
	packing := workflows.DataConverter()
	for _, notes := range []string{"short", strings.Repeat("replication slot walsender_7 is over the line; ", 40_000)} {
		in := alert.Command{Actor: "dana", Notes: notes}
		packed, err := packing.ToPayload(in)
		if err != nil {
			t.Fatal(err)
		}
		var out alert.Command
		if err := packing.FromPayload(packed, &out); err != nil || out.Notes != notes {
			t.Errorf("%d bytes come back as %d: %v", len(notes), len(out.Notes), err)
		}
		large, plain := len(notes) > 64<<10, converter.GetDefaultDataConverter().FromPayload(packed, &out) == nil
		if plain == large {
			t.Errorf("a value of %d bytes is readable without us: %t", len(notes), plain)
		}
		if large && len(packed.GetData()) > len(notes)/10 {
			t.Errorf("%d bytes are packed into %d", len(notes), len(packed.GetData()))
		}
	}
}

func TestDataConverter_ReadsWhatWasWrittenWithoutIt(t *testing.T) {
	t.Parallel()
	large, err := converter.GetDefaultDataConverter().ToPayload(strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var out string
	if err := workflows.DataConverter().FromPayload(large, &out); err != nil || len(out) != 1<<20 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}
