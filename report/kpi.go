package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Verdict is how a figure stands to its goal.
type Verdict string

const (
	Met     Verdict = "MET"
	Missed  Verdict = "MISSED"
	Unknown Verdict = "NOT KNOWN"
)

// KPI is one of the guide's key performance indicators, measured.
type KPI struct {
	Key      string   `json:"key"`
	Name     string   `json:"name"`
	Goal     string   `json:"goal"`
	Measured string   `json:"measured"` // in words, "not known" without a value
	Value    *float64 `json:"value"`    // in Unit
	Unit     string   `json:"unit"`
	Verdict  Verdict  `json:"verdict"`
	Detail   string   `json:"detail,omitempty"` // of how many, or why it is not known
}

// The limits of the guide's operations: an alert that nobody answered within 30 minutes escalates, and one
// that was acknowledged four hours ago is stale.
const (
	ResponseLimit   = 30 * time.Minute
	ResolutionLimit = 4 * time.Hour
)

// The guide's goals.
const (
	goalDelivery   = 0.99
	goalFalse      = 0.10
	goalResolved   = 0.95
	goalQueryMS    = 100
	goalStorage    = 0.05
	goalRetention  = 30 * 24 * time.Hour
	goalCollection = 5 * time.Minute
	goalFiring     = 5 * time.Minute
)

// Judge fills in the KPIs from the report's other figures.
func (r *Report) Judge() {
	r.KPIs = []KPI{
		r.deliveryKPI(), r.falsePositiveKPI(), r.resolutionKPI(), r.firingKPI(),
		r.collectionKPI(), r.queryKPI(), r.storageKPI(), r.retentionKPI(),
	}
}

func (r *Report) deliveryKPI() KPI {
	k := KPI{Key: "notification_delivery", Name: "Notifications delivered", Goal: "> 99 %", Unit: "%"}
	delivered, failed, uncertain := 0, 0, 0
	for _, c := range r.Deliveries {
		delivered, failed, uncertain = delivered+c.Delivered, failed+c.Failed, uncertain+c.Uncertain
	}
	rate := share(delivered, delivered+failed)
	if rate == nil {
		return k.unknown("no notification ended in the period")
	}
	k.Detail = fmt.Sprintf("%d of %d", delivered, delivered+failed)
	if uncertain > 0 {
		k.Detail += fmt.Sprintf("; of %d nobody knows whether they arrived", uncertain)
	}
	return k.percent(*rate, *rate > goalDelivery)
}

func (r *Report) falsePositiveKPI() KPI {
	k := KPI{Key: "false_positives", Name: "False positives", Goal: "< 10 %", Unit: "%"}
	rate := share(r.Alerts.FalsePositives, r.Alerts.New)
	if rate == nil {
		return k.unknown("no alert fired in the period")
	}
	// A mark is the only sign that somebody judged at all: without any, 0 % would claim too much.
	if r.Alerts.FalsePositives == 0 {
		return k.unknown("nobody marked any of " + plural(r.Alerts.New, "alert", "alerts") + ", and nothing says that somebody judged them")
	}
	k.Detail = fmt.Sprintf("%d of %s marked as such", r.Alerts.FalsePositives, plural(r.Alerts.New, "alert was", "alerts were"))
	return k.percent(*rate, *rate < goalFalse)
}

func (r *Report) resolutionKPI() KPI {
	k := KPI{Key: "resolved_within_sla", Name: "Resolved within SLA", Goal: "≥ 95 % within " + Span(ResolutionLimit), Unit: "%"}
	rate := share(r.Alerts.WithinResolution, r.Alerts.Due)
	if rate == nil {
		return k.unknown("no alert was resolved or due in the period")
	}
	k.Detail = fmt.Sprintf("%d of %d that were resolved or due", r.Alerts.WithinResolution, r.Alerts.Due)
	return k.percent(*rate, *rate >= goalResolved)
}

func (r *Report) firingKPI() KPI {
	k := KPI{Key: "alert_response_time", Name: "Alerts fired in time", Goal: "≤ 5 min after the condition", Unit: "s"}
	if r.Alerts.SlowestLookS == nil {
		return k.unknown("no alert fired in the period")
	}
	slowest := time.Duration(*r.Alerts.SlowestLookS * float64(time.Second))
	k.Detail = "the longest time between the look that fired and the one before it"
	// Evaluations are scheduled every five minutes, and each takes a moment.
	return k.measured(*r.Alerts.SlowestLookS, "≤ "+Span(slowest), slowest <= goalFiring+15*time.Second)
}

func (r *Report) collectionKPI() KPI {
	k := KPI{Key: "collection_frequency", Name: "Collection without gaps", Goal: "5-minute intervals maintained", Unit: "%"}
	var (
		covered  *float64
		gaps     int
		interval time.Duration
	)
	for _, c := range r.Coverage {
		if c.What != Collection {
			continue
		}
		gaps += c.Gaps
		interval = max(interval, time.Duration(c.IntervalSeconds*float64(time.Second)))
		if c.Covered != nil && (covered == nil || *c.Covered < *covered) {
			covered = c.Covered
		}
	}
	if covered == nil {
		return k.unknown("nothing was collected in the period")
	}
	k.Detail = "no gap, every " + Span(interval)
	if gaps > 0 {
		k.Detail = fmt.Sprintf("%s, every %s; the worst target's share", plural(gaps, "gap", "gaps"), Span(interval))
	}
	return k.percent(*covered, gaps == 0 && interval <= goalCollection)
}

func (r *Report) queryKPI() KPI {
	k := KPI{Key: "monitoring_queries", Name: "Monitoring queries", Goal: "< 100 ms", Unit: "ms"}
	if r.Monitoring.SlowestQueryMS == nil {
		return k.unknown("no evaluation and no statement of the monitoring was measured")
	}
	mean := *r.Monitoring.SlowestQueryMS
	k.Detail = "mean of the slowest: " + r.Monitoring.SlowestQuery
	return k.measured(mean, milliseconds(mean), mean < goalQueryMS)
}

func (r *Report) storageKPI() KPI {
	k := KPI{Key: "storage", Name: "Monitoring data", Goal: "< 5 % of the database", Unit: "%"}
	m := r.Monitoring
	switch {
	case m.VaultBytes == nil || m.DatabaseBytes == nil || *m.DatabaseBytes == 0:
		return k.unknown("sizes are known of the present only")
	case m.Dedicated:
		return k.unknown("the vault has a database of its own (" + bytes(*m.DatabaseBytes) + "): there is nothing to compare it with")
	}
	k.Detail = bytes(*m.VaultBytes) + " of " + bytes(*m.DatabaseBytes)
	part := *m.VaultBytes / *m.DatabaseBytes
	return k.percent(part, part < goalStorage)
}

func (r *Report) retentionKPI() KPI {
	k := KPI{Key: "retention", Name: "Measurements kept", Goal: "30 days or more", Unit: "days"}
	m := r.Monitoring
	switch {
	case r.sampleless():
		return k.unknown("no sample of that time is left in the vault")
	case m.OldestSample.IsZero():
		return k.unknown("nothing was measured until then")
	}
	kept, known := r.To.Sub(m.OldestSample), r.To.Sub(m.FirstSeen)
	days := kept.Hours() / 24
	if kept < goalRetention && known < goalRetention {
		return k.unknown("the vault has watched for " + Span(known) + " so far, and kept it all")
	}
	k.Detail = "the oldest is of " + m.OldestSample.Format(time.DateOnly)
	return k.measured(days, plural(int(days), "day", "days"), kept >= goalRetention)
}

func (k KPI) unknown(why string) KPI {
	k.Measured, k.Verdict, k.Detail = "not known", Unknown, why
	return k
}

func (k KPI) percent(share float64, met bool) KPI {
	return k.measured(100*share, percentOf(share), met)
}

func (k KPI) measured(value float64, words string, met bool) KPI {
	k.Value, k.Measured, k.Verdict = &value, words, Missed
	if met {
		k.Verdict = Met
	}
	return k
}

// percentOf never rounds a share below 100 % up to it, nor one above 0 % down.
func percentOf(share float64) string {
	text := strconv.FormatFloat(100*share, 'f', 1, 64)
	switch {
	case share < 1 && text == "100.0":
		text = "99.9"
	case share > 0 && text == "0.0":
		return "< 0.1 %"
	}
	return strings.TrimSuffix(text, ".0") + " %"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
