-- Label sets: what tells the series of a metric apart, and the alerts of a definition that alerts by labels.

CREATE OR REPLACE FUNCTION monitoring.labels_id(p_labels jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT left(encode(sha256(convert_to(p_labels::text, 'UTF8')), 'hex'), 16) $$;
COMMENT ON FUNCTION monitoring.labels_id(jsonb) IS 'Sixteen characters that stand for a label set in keys and indexes, whatever the labels hold.';

CREATE OR REPLACE FUNCTION monitoring.label_text(p_labels jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT string_agg(l.key || '=' || l.value, ', ' ORDER BY l.key) FROM jsonb_each_text(p_labels) AS l $$;
COMMENT ON FUNCTION monitoring.label_text(jsonb) IS 'A label set as people read it: database=shop, table=public.orders. NULL: it is empty.';

CREATE OR REPLACE FUNCTION monitoring.label_key(p_labels jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    -- A part of a key is trimmed and upper-cased, and a key has its length: told apart by the hash, readable by the beginning.
    SELECT monitoring.labels_id(p_labels) || '#' || left((SELECT string_agg(l.value, ' ' ORDER BY l.key) FROM jsonb_each_text(p_labels) AS l), 30)
    $$;
COMMENT ON FUNCTION monitoring.label_key(jsonb) IS 'What stands for a label set in a business key.';

CREATE OR REPLACE FUNCTION monitoring.health_key(p_target text, p_tenant_hk bytea, p_metric text, p_labels jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- Without the category: where a query fails, its metrics come without theirs.
    SELECT CASE WHEN p_labels IS NULL OR p_labels = '{}'
                THEN util.bk(p_target, 'HEALTH', p_metric, coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM'))
                ELSE util.bk(p_target, 'HEALTH', p_metric, coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM'),
                             monitoring.label_key(p_labels)) END
    $$;
COMMENT ON FUNCTION monitoring.health_key(text, bytea, text, jsonb) IS
    'The business key of a series: of a metric of a target, and of its labels.';

-- The alerts of one label set, among thousands of the same definition.
CREATE INDEX IF NOT EXISTS alert_instance_h_labels
    ON monitoring.alert_instance_h (alert_definition_hk, target_name, monitoring.labels_id(labels));
