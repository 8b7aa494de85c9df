package collect

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Supports reports whether the query has a SELECT for a major version.
func (q Query) Supports(major int) bool {
	_, err := q.Statement(major)
	return err == nil
}

// Statement is what a server of that major version is asked: the file's SELECT, and around it what makes one
// row per metric and labels of it, (name, value, warning, critical, counter, labels, evidence, error, row).
// What is no number has an error instead of a value, here and nowhere else. The same text runs on a target
// and in the vault.
func (q Query) Statement(major int) (string, error) {
	for _, v := range q.Variants {
		if v.From <= major && major <= v.To {
			return q.wrap(v), nil
		}
	}
	return "", fmt.Errorf("PostgreSQL %d is not supported: there is a SELECT for the versions %s", major, q.Versions())
}

func (q Query) wrap(v Variant) string {
	var labels, metrics []string
	for _, name := range q.By {
		labels = append(labels, fmt.Sprintf("'%[1]s', left(coalesce(r.%[1]s::text, ''), 200)", name))
	}
	for _, m := range q.Metrics {
		whole := "NULL::jsonb"
		if m.Of != "" {
			whole = "to_jsonb(q." + m.Of + ")"
		}
		metrics = append(metrics, fmt.Sprintf("('%s', to_jsonb(q.%s), %s, '%s'::jsonb, %t, %s, %s, %s)",
			m.Name, m.Name, whole, m.counter(), m.Optional, limit(m.Warning), limit(m.Critical), column(m.Evidence, "jsonb")))
	}
	return strings.NewReplacer(
		"{name}", q.Name,
		"{labels}", "jsonb_build_object("+strings.Join(labels, ", ")+")",
		"{since}", since(q.Since),
		"{reason}", column(q.Reason, "text"),
		"{metrics}", strings.Join(metrics, ",\n           "),
		"{limit}", fmt.Sprint(q.Rows+1),
		"{select}", v.SQL,
	).Replace(wrapped)
}

// A counter's part and whole, or its count, are put together here; a since of NULL is left out.
const wrapped = `/* onevault {name} */
SELECT m.name,
       CASE WHEN m.counter = '{}' THEN n.raw END AS value,
       m.warning, m.critical,
       CASE WHEN m.counter = '{}' THEN NULL
            WHEN m.counter ? 'factor' AND n.raw IS NOT NULL AND n.whole IS NOT NULL
                THEN jsonb_strip_nulls(jsonb_build_object('part', n.raw * (m.counter ->> 'factor')::numeric, 'whole', n.whole, 'since', q.onevault_since))
            WHEN NOT m.counter ? 'factor' AND n.raw IS NOT NULL
                THEN m.counter || jsonb_strip_nulls(jsonb_build_object('count', n.raw, 'since', q.onevault_since)) END AS counter,
       q.onevault_labels AS labels, m.evidence,
       CASE WHEN jsonb_typeof(m.raw) NOT IN ('number', 'boolean', 'null') THEN m.name || ' is ' || left(m.raw::text, 60) || ': that is no number'
            WHEN jsonb_typeof(m.whole) NOT IN ('number', 'null') THEN 'the whole of ' || m.name || ' is ' || left(m.whole::text, 60) || ': that is no number'
            WHEN n.raw IS NULL THEN {reason} END AS error,
       q.onevault_row AS row
  FROM (SELECT r.*, {labels} AS onevault_labels, {since} AS onevault_since, row_number() OVER () AS onevault_row
          FROM (SELECT * FROM (
{select}
               ) AS onevault_select LIMIT {limit}) AS r) AS q
 CROSS JOIN LATERAL (VALUES
           {metrics}
       ) AS m (name, raw, whole, counter, optional, warning, critical, evidence)
 CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(m.raw) WHEN 'number' THEN (m.raw #>> '{}')::numeric WHEN 'boolean' THEN m.raw::boolean::integer END AS raw,
                            CASE jsonb_typeof(m.whole) WHEN 'number' THEN (m.whole #>> '{}')::numeric END AS whole) AS n
 WHERE NOT (m.optional AND n.raw IS NULL AND coalesce(jsonb_typeof(m.raw), 'null') = 'null')`

// counter is the part of a counter that is the same in every sample; {}: the metric is none.
func (m Metric) counter() string {
	parts := map[string]float64{}
	switch m.Kind {
	case KindValue: // no counter
	case KindShare:
		parts["factor"] = 100
	case KindMean:
		parts["factor"] = 1
	case KindRate:
		parts["per_s"] = float64(perSeconds(m.Unit))
		if m.Over > 0 {
			parts["over_s"] = m.Over.Seconds()
		}
	}
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // of a map of numbers
	}
	return string(text)
}

func limit(numberOrColumn string) string {
	if columnNames.MatchString(numberOrColumn) {
		return "q." + numberOrColumn + "::numeric"
	}
	if numberOrColumn == "" {
		return "NULL::numeric"
	}
	return numberOrColumn + "::numeric"
}

func column(name, kind string) string {
	if name == "" {
		return "NULL::" + kind
	}
	return "q." + name + "::" + kind
}

func since(name string) string {
	if name == "" {
		return "NULL::numeric"
	}
	return "extract(epoch FROM r." + name + ")"
}
