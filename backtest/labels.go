package backtest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"onevault/alert"
)

// LabelSet is what was found of one label set of a definition, from the first look at which it had data.
type LabelSet struct {
	Labels alert.Labels
	Looks  []Look
}

// FollowLabels is Follow for a definition that alerts by labels: each label set has alerts of its own. whole is what
// each look found of all of them, the gravest; NO_DATA: none had data, which is an alert without labels where the
// definition says so.
func FollowLabels(timing alert.Timing, whole []Look, sets []LabelSet, until time.Time) Run {
	run := Run{Looks: len(whole), Alerts: []Episode{}}
	firing := map[int64]bool{} // by the microseconds of the look
	if timing.NoData == "ALERT" {
		sets = append(slices.Clip(sets), LabelSet{Looks: ofTarget(whole)})
	}
	for _, set := range sets {
		r := Follow(timing, set.Looks, until)
		for _, e := range r.Alerts {
			e.Labels = set.Labels
			run.Alerts = append(run.Alerts, e)
		}
		run.Suppressed, run.Reopened, run.Flapping = run.Suppressed+r.Suppressed, run.Reopened+r.Reopened, run.Flapping+r.Flapping
		for _, d := range r.Decided {
			firing[d.At.UnixMicro()] = firing[d.At.UnixMicro()] || d.Firing
		}
	}
	slices.SortStableFunc(run.Alerts, func(a, b Episode) int {
		return cmp.Or(a.Begin.Compare(b.Begin), cmp.Compare(a.Labels.String(), b.Labels.String()))
	})
	for _, l := range whole {
		if !l.Kept {
			continue
		}
		run.found(l)
		run.Decided = append(run.Decided, Decided{l.At, l.Result, firing[l.At.UnixMicro()]})
	}
	run.Firing = seconds(Union(run.Standing()), until)
	return run
}

// ofTarget are the looks at whether there is any data at all: an alert about that ends with the first label set that
// has some.
func ofTarget(whole []Look) []Look {
	looks := slices.Clone(whole)
	for i := range looks {
		if l := &looks[i]; l.Result != alert.ResultNoData {
			l.Result, l.Clears = alert.ResultFalse, true
		}
		looks[i].Nothing = false
	}
	return looks
}

// LabelSets are those that had alerts, each once, in the order of their first.
func (r Run) LabelSets() []alert.Labels {
	var sets []alert.Labels
	for _, e := range r.Alerts {
		if !slices.ContainsFunc(sets, func(l alert.Labels) bool { return maps.Equal(l, e.Labels) }) {
			sets = append(sets, e.Labels)
		}
	}
	return sets
}

// Of is the run with the alerts of one label set alone.
func (r Run) Of(labels alert.Labels) Run {
	r.Alerts = slices.DeleteFunc(slices.Clone(r.Alerts), func(e Episode) bool { return !maps.Equal(e.Labels, labels) })
	return r
}
