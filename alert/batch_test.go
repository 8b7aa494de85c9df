package alert

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestSayOnce_LeavesTheDefinitionToTheFirstOfEachRunOfAVersion(t *testing.T) {
	t.Parallel()
	older, newer := Definition{Key: "DISK", Version: dawn}, Definition{Key: "DISK", Version: dawn.Add(time.Hour)}
	var whole []Transition
	for i, definition := range []*Definition{&older, &older, &newer, &older, &older} {
		whole = append(whole, Transition{Seq: int64(i), Kind: TransitionFired, Definition: definition, Channels: []Channel{{Key: "MAIL"}}})
	}
	whole = slices.Insert(whole, 1, Transition{Seq: 9, Kind: TransitionResolved})
	items := slices.Clone(whole)
	SayOnce(items)
	var with []int64
	for _, item := range items {
		if item.Definition != nil {
			with = append(with, item.Seq)
		}
		if (item.Definition == nil) != (item.Channels == nil) {
			t.Errorf("%d brings the one without the other: %+v", item.Seq, item)
		}
	}
	if want := []int64{0, 2, 3}; !slices.Equal(with, want) {
		t.Errorf("%v bring the definition, want %v", with, want)
	}
	if Complete(items); !reflect.DeepEqual(items, whole) {
		t.Errorf("completed they are %+v, want what was said once: %+v", items, whole)
	}
}

func TestComplete_InventsNothing(t *testing.T) {
	t.Parallel()
	items := []Transition{{Kind: TransitionFired}, {Kind: TransitionResolved}, {Kind: TransitionFired, Definition: &Definition{Key: "DISK"}}, {Kind: TransitionResolved}}
	Complete(items)
	if items[0].Definition != nil || items[1].Definition != nil || items[3].Definition != nil {
		t.Errorf("got %+v", items)
	}
}
