package report

// maxStatement is how much of a statement's text a report keeps.
const maxStatement = 400

// RateStatements works out the shares, the means and the times per hour of the top statements.
func (r *Report) RateStatements() {
	hours := r.To.Sub(r.From).Hours()
	for i := range r.Statements.Top {
		s := &r.Statements.Top[i]
		s.Text = clean(s.Text, maxStatement)
		for j := range s.Suggestions {
			s.Suggestions[j] = clean(s.Suggestions[j], maxStatement)
		}
		if whole := r.Statements.TotalMS; whole != nil && *whole > 0 {
			part := min(s.TotalMS / *whole, 1)
			s.Share = &part
		}
		if s.Calls > 0 {
			mean := s.TotalMS / float64(s.Calls)
			s.MeanMS = &mean
		}
		if hours > 0 {
			perHour := s.TotalMS / hours
			s.TotalPerHour = &perHour
		}
	}
}

// CountCompliance fills in where the controls stand and which results changed; first results, which have
// no status before, are counted and not listed.
func (r *Report) CountCompliance(frameworks []FrameworkRow, results []ComplianceChange, limit int) {
	c := Compliance{Frameworks: frameworks, Changes: []ComplianceChange{}}
	for _, f := range frameworks {
		c.Checked += f.Compliant + f.Partial + f.Failing + f.NotTested
	}
	for _, change := range results {
		if change.Before == "" {
			c.First++
			continue
		}
		c.Changed++
		if len(c.Changes) < limit {
			c.Changes = append(c.Changes, change)
		}
	}
	r.Compliance = c
}
