package vault

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/backtest"
)

// labelSeries is one series of a metric with labels, and what it held at each look.
type labelSeries struct {
	hk     []byte
	own    bool
	labels alert.Labels
	held   []held
}

// held is the newest sample of a series at a look.
type held struct {
	at    time.Time // zero: there is none that counts
	value string    // empty: it could not be measured
}

// LabelLooks repeats the looks of a definition that alerts by labels: what each found as a whole, and what of each
// label set since it first had data, as monitoring.label_looks takes them.
func (h *History) LabelLooks(ctx context.Context, d DefinitionSpec, in Subject, firing Firing) (whole []backtest.Look, sets []backtest.LabelSet, err error) {
	names, err := h.Names(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	g := gridOf(d, in)
	if g.count == 0 {
		return nil, nil, nil
	}
	about := map[string]string{} // the metrics with labels, by the names that are about them
	for _, name := range names {
		if metric := h.metricOf(name); h.labelled[metric] {
			about[name] = metric
		}
	}
	shared, reach, _, err := h.inputs(ctx, d, g, slices.DeleteFunc(names, func(name string) bool { return about[name] != "" }), firing)
	if err != nil {
		return nil, nil, err
	}
	found := map[string]map[string][]labelSeries{} // by label set and metric
	labels := map[string]alert.Labels{}
	for _, metric := range slices.Compact(slices.Sorted(maps.Values(about))) {
		series, err := h.seriesWithLabels(ctx, g, metric, time.Duration(d.LookbackMinutes)*time.Minute)
		if err != nil {
			return nil, nil, fmt.Errorf("read the history of %s at %s: %w", metric, in.Target, refusal(err))
		}
		for _, s := range series {
			set := alert.Labels{}
			for _, name := range d.AlertBy {
				if value, ok := s.labels[name]; ok {
					set[name] = value
				}
			}
			if len(set) < len(d.AlertBy) {
				continue
			}
			key := set.String()
			if labels[key] = set; found[key] == nil {
				found[key] = map[string][]labelSeries{}
			}
			found[key][metric] = append(found[key][metric], s)
		}
	}

	whole = make([]backtest.Look, g.count)
	for n := range whole {
		whole[n].Result, whole[n].Reason, whole[n].Nothing = alert.ResultNoData, "no series", true
	}
	var firsts []int // the look at which each set first had data
	for _, key := range slices.Sorted(maps.Keys(found)) {
		looks, present, back, err := h.lookAtSet(ctx, d, g, about, shared, found[key])
		if err != nil {
			return nil, nil, err
		}
		reach = max(reach, back)
		for n, l := range looks {
			if w := &whole[n]; present[n] && (w.Nothing || graver(l.Result, w.Result)) {
				*w = l
			}
		}
		if first := slices.Index(present, true); first >= 0 {
			sets, firsts = append(sets, backtest.LabelSet{Labels: labels[key], Looks: looks}), append(firsts, first)
		}
	}
	if err := h.date(ctx, d, g, reach, nil, whole); err != nil {
		return nil, nil, err
	}
	for i := range sets {
		looks := sets[i].Looks
		for n := range looks {
			l := &looks[n]
			l.At, l.Unreachable, l.Kept, l.Nothing = whole[n].At, whole[n].Unreachable, whole[n].Kept, whole[n].Nothing
		}
		sets[i].Looks = looks[firsts[i]:]
	}
	return whole, sets, nil
}

// graver reports whether a result says more about a definition as a whole than another.
func graver(a, b alert.Result) bool {
	gravest := []alert.Result{alert.ResultTrue, alert.ResultError, alert.ResultFalse, alert.ResultNoData}
	return slices.Index(gravest, a) < slices.Index(gravest, b)
}

// metricOf is the metric that a name of a condition is about: the name itself, or the argument of a call.
func (h *History) metricOf(name string) string {
	if _, argument, is := strings.Cut(name, "("); is && FiringKey(name) == "" {
		metric, _, _ := strings.Cut(argument, ",")
		return metric
	}
	return name
}

// seriesWithLabels reads the series of a metric at each look: what is in them was newest then, counted still, and was
// told of by the last run of its query.
func (h *History) seriesWithLabels(ctx context.Context, g grid, metric string, lookback time.Duration) ([]labelSeries, error) {
	counts := max(lookback, time.Duration(2.5*h.every[metric]*float64(time.Second)))
	rows, err := h.tx.Query(ctx, statement("label_series"), metric, g.in.Target, g.in.Tenant, g.first.Add(-counts), g.moment(g.count-1))
	if err != nil {
		return nil, err
	}
	var (
		all  []labelSeries
		runs bool
	)
	series, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s labelSeries, err error) {
		s.held = make([]held, g.count)
		err = row.Scan(&s.hk, &s.own, &s.labels, &runs)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	unreachable, err := h.unreachable(ctx, g)
	if err != nil {
		return nil, err
	}
	hks, own := make([][]byte, len(series)), make([]bool, len(series))
	for i, s := range series {
		hks[i], own[i] = s.hk, s.own
	}
	samples, err := h.samples(ctx, g, hks, own, counts, 0)
	if err != nil {
		return nil, err
	}
	newest := make([]time.Time, g.count)
	for _, s := range samples {
		for n := s.first; n < s.last; n++ {
			if !s.at.Before(unreachable[n]) {
				series[s.series].held[n] = held{s.at, s.value}
			}
			if s.at.After(newest[n]) {
				newest[n] = s.at
			}
		}
	}
	for _, s := range series {
		for n, x := range s.held {
			// A run that told of others and not of this one says that it is gone.
			if runs && x.at.Before(newest[n]) {
				s.held[n] = held{}
			}
		}
		// A tenant's own, which come last, go before the server's.
		if i := slices.IndexFunc(all, func(o labelSeries) bool { return maps.Equal(o.labels, s.labels) }); i >= 0 {
			for n, x := range s.held {
				if !x.at.IsZero() {
					all[i].held[n] = x
				}
			}
			continue
		}
		all = append(all, s)
	}
	return all, nil
}

// lookAtSet has one label set judged at each look; present are the looks at which it had data.
func (h *History) lookAtSet(ctx context.Context, d DefinitionSpec, g grid, about map[string]string, shared map[string][]string,
	found map[string][]labelSeries,
) (looks []backtest.Look, present []bool, reach time.Duration, err error) {
	values := maps.Clone(shared)
	present = make([]bool, g.count)
	several := make([]string, g.count) // why the values cannot be told
	for metric, series := range found {
		for n := range g.count {
			count := 0
			for _, s := range series {
				if !s.held[n].at.IsZero() {
					count++
				}
			}
			present[n] = present[n] || count > 0
			if count > 1 {
				several[n] = fmt.Sprintf("%s has %d series with these labels: let alert_by name more of its labels", metric, count)
			}
		}
	}
	for name, metric := range about {
		values[name] = make([]string, g.count)
		for _, s := range found[metric] {
			amounts := func(n int) string { return s.held[n].value }
			if name != metric {
				called, back, err := h.call(ctx, g, name, s.labels)
				if err != nil {
					return nil, nil, 0, fmt.Errorf("read the history of %s at %s: %w", name, g.in.Target, refusal(err))
				}
				reach = max(reach, back)
				amounts = func(n int) string { return called[n] }
			}
			for n := range g.count {
				if !s.held[n].at.IsZero() {
					values[name][n] = amounts(n)
				}
			}
		}
	}
	if looks, err = h.judge(ctx, d, g, values); err != nil {
		return nil, nil, 0, err
	}
	for n := range looks {
		l := &looks[n]
		switch {
		case !present[n]:
			*l = backtest.Look{Look: alert.Look{Result: alert.ResultNoData}, Reason: "gone"}
		case several[n] != "":
			*l = backtest.Look{Look: alert.Look{Result: alert.ResultError}, Reason: several[n]}
		}
	}
	return looks, present, reach, nil
}
