package activities

import (
	"context"
	"fmt"
	"time"

	"onevault/anomaly"
	"onevault/settings"
	"onevault/vault"
)

// learnAtOnce is how many baselines one run learns at most: each reads four weeks of one metric. What is left is due
// at the next run.
const learnAtOnce = 4

// ScoreAnomaliesInput names a target, and the moment up to which its samples are judged: the same at a retry.
type ScoreAnomaliesInput struct {
	Target string    `json:"target"`
	At     time.Time `json:"at"`
}

// ScoreAnomaliesOutput counts what was judged.
type ScoreAnomaliesOutput struct {
	Scored    int      `json:"scored"`              // samples
	Anomalous []string `json:"anomalous,omitempty"` // metrics that are unusual now
	Learned   []string `json:"learned,omitempty"`   // metrics whose baseline was learned anew
}

// ScoreAnomalies judges the samples of a target that came since it last did, and learns anew what is usual where that
// is due. What it records depends on the samples and the moment alone, so that it may be repeated.
func (c *Collection) ScoreAnomalies(ctx context.Context, in ScoreAnomaliesInput) (ScoreAnomaliesOutput, error) {
	var out ScoreAnomaliesOutput
	metrics, err := c.Vault.JudgedMetrics(ctx, in.Target, in.At)
	if err != nil {
		return out, classify(err)
	}
	for _, m := range metrics {
		if len(out.Learned) == learnAtOnce {
			break
		}
		if !learningDue(m, in.At) {
			continue
		}
		if err := c.learn(ctx, in, m); err != nil {
			return out, classify(err)
		}
		out.Learned = append(out.Learned, m.Name)
	}
	if len(out.Learned) > 0 {
		if metrics, err = c.Vault.JudgedMetrics(ctx, in.Target, in.At); err != nil {
			return out, classify(err)
		}
	}
	var scores []vault.AnomalyScore
	for _, m := range metrics {
		judged, last := judge(m)
		scores = append(scores, judged...)
		if last.State == anomaly.Anomalous {
			out.Anomalous = append(out.Anomalous, m.Name)
		}
	}
	out.Scored, err = c.Vault.RecordScores(ctx, in.Target, scores)
	return out, classify(err)
}

// learningDue: a setting that follows other hours needs another baseline at once.
func learningDue(m vault.JudgedMetric, now time.Time) bool {
	state := m.Last.State
	if m.BaselineReason != "" {
		state = anomaly.Learning
	} else if state == "" {
		state = anomaly.Normal
	}
	return anomaly.Due(m.LearnedAt, state, now) || m.BaselineZone != m.TimeZone
}

func (c *Collection) learn(ctx context.Context, in ScoreAnomaliesInput, m vault.JudgedMetric) error {
	zone, err := settings.ParseTimezone(m.TimeZone)
	if err != nil {
		// The vault knows the zone and this worker does not: that is said, and the others are judged.
		return c.Vault.RecordBaseline(ctx, in.Target, m.Name, m.TimeZone, in.At, nil, anomaly.Progress{}, 0,
			fmt.Sprintf("the worker knows no time zone %q", m.TimeZone))
	}
	m.Rule.Zone = zone
	history, err := c.Vault.AnomalyHistory(ctx, in.Target, m.Name, in.At)
	if err != nil {
		return err
	}
	baseline, progress := anomaly.Learn(history, m.Rule, in.At)
	return c.Vault.RecordBaseline(ctx, in.Target, m.Name, m.TimeZone, in.At, baseline, progress, len(history), tooLittle(progress))
}

// tooLittle says what is missing of the history; empty: nothing is.
func tooLittle(p anomaly.Progress) string {
	if p.Enough() {
		return ""
	}
	return fmt.Sprintf("too little history: %.1f of %.0f days, %d of %d hours with a value",
		p.Span.Hours()/24, anomaly.MinSpan.Hours()/24, p.Hours, anomaly.MinHours)
}

// judge scores the pending samples of a metric one after the other.
func judge(m vault.JudgedMetric) (scores []vault.AnomalyScore, last anomaly.Verdict) {
	last = m.Last
	for _, s := range m.Samples {
		unjudged := vault.AnomalyScore{Metric: m.Name, At: s.At, Value: s.Value, Unit: s.Unit}
		switch {
		case s.Value == nil:
			unjudged.State, unjudged.Reason = anomaly.Unknown, s.Error
			if s.Error == "" {
				unjudged.Reason = "the sample has no value"
			}
			scores = append(scores, unjudged)
		case s.Bucket.Kind == "":
			unjudged.State, unjudged.Reason = anomaly.Learning, m.BaselineReason
			if m.BaselineReason == "" {
				unjudged.Reason = "nothing was learned yet"
			}
			scores = append(scores, unjudged)
		default:
			last = anomaly.Judge(m.Rule, s.Bucket, anomaly.Sample{At: s.At, Value: *s.Value}, last)
			scores = append(scores, vault.JudgedScore(m, s, last))
		}
	}
	return scores, last
}
