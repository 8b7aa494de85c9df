-- Daily reports: what was reported, and the ledger of whom it was mailed to. What a report says is counted
-- by the statements of vault/sql/report_*.sql.

CREATE OR REPLACE FUNCTION monitoring.record_report(
    p_report_bk text, p_report_date date, p_period_start timestamptz, p_period_end timestamptz, p_time_zone text,
    p_content jsonb, p_html_sha256 text) RETURNS bytea
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk bytea := util.hash_binary(p_report_bk);
BEGIN
    INSERT INTO monitoring.report_h (report_hk, report_bk) VALUES (v_hk, p_report_bk) ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.report_s (
        report_hk, hash_diff, report_date, period_start, period_end, time_zone, figures, content, html_sha256)
    VALUES (
        v_hk, '\x', p_report_date, p_period_start, p_period_end, p_time_zone, coalesce(p_content -> 'kpis', '[]'), p_content, p_html_sha256);
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.record_report(text, date, timestamptz, timestamptz, text, jsonb, text) IS
    'Records a report; the same content again is no new version.';

CREATE OR REPLACE FUNCTION monitoring.report_delivery_key(p_report_bk text, p_channel_bk text, p_recipient text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT p_report_bk || '||' || util.bk(p_channel_bk, p_recipient) $$;
COMMENT ON FUNCTION monitoring.report_delivery_key(text, text, text) IS
    'The business key of one report to one recipient of one channel.';

CREATE OR REPLACE FUNCTION monitoring.begin_report_delivery(
    p_report_bk text, p_channel_bk text, p_recipient text, p_attempt_key text, p_at timestamptz) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_bk      text := monitoring.report_delivery_key(p_report_bk, p_channel_bk, p_recipient);
    v_hk      bytea := util.hash_binary(v_bk);
    v_prior   monitoring.report_delivery_s;
    v_unknown boolean;
BEGIN
    INSERT INTO monitoring.report_delivery_h (report_delivery_hk, report_delivery_bk, report_hk, notification_config_hk)
    VALUES (v_hk, v_bk, util.hash_binary(p_report_bk), util.hash_binary(p_channel_bk))
    ON CONFLICT DO NOTHING;
    -- One beginner at a time: the second one sees what the first one wrote.
    PERFORM FROM monitoring.report_delivery_h h WHERE h.report_delivery_hk = v_hk FOR NO KEY UPDATE;
    SELECT * INTO v_prior FROM monitoring.report_delivery_s s WHERE s.report_delivery_hk = v_hk AND s.load_end_date IS NULL;
    IF v_prior.delivery_status = 'DELIVERED' THEN
        RETURN 'DELIVERED';
    END IF;
    v_unknown := v_prior.delivery_status = 'PENDING' AND (v_prior.outcome_class IS NULL OR v_prior.outcome_class = 'UNCERTAIN')
                 OR v_prior.delivery_status = 'FAILED' AND v_prior.outcome_class = 'UNCERTAIN';
    IF v_unknown AND v_prior.possible_duplicate THEN
        -- It was sent once more already, and nobody knows of either: a third mail would help nobody.
        INSERT INTO monitoring.report_delivery_s (
            report_delivery_hk, hash_diff, delivery_status, recipient_address, attempt_key, attempted_at, outcome_class, failure_reason,
            possible_duplicate)
        VALUES (v_hk, '\x', 'FAILED', p_recipient, v_prior.attempt_key, v_prior.attempted_at, 'UNCERTAIN',
            coalesce(v_prior.failure_reason, 'two attempts ended without a word; the mail may have arrived'), true);
        RETURN 'UNCERTAIN';
    END IF;
    INSERT INTO monitoring.report_delivery_s (
        report_delivery_hk, hash_diff, delivery_status, recipient_address, attempt_key, attempted_at, possible_duplicate)
    VALUES (v_hk, '\x', 'PENDING', p_recipient, p_attempt_key, p_at, coalesce(v_unknown OR v_prior.possible_duplicate, false));
    RETURN CASE WHEN v_unknown THEN 'UNKNOWN_OUTCOME' ELSE 'NEW' END;
END
$$;
COMMENT ON FUNCTION monitoring.begin_report_delivery(text, text, text, text, timestamptz) IS
    'Writes the intent of one attempt to mail a report. NEW: go on. UNKNOWN_OUTCOME: an earlier attempt may have arrived, send once more. DELIVERED, UNCERTAIN: do not send; of the latter two attempts ended without a word.';

CREATE OR REPLACE FUNCTION monitoring.end_report_delivery(
    p_report_bk text, p_channel_bk text, p_recipient text, p_attempt_key text, p_at timestamptz,
    p_status text, p_class text, p_reason text, p_proof text, p_external_id text, p_sha256 text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk    bytea := util.hash_binary(monitoring.report_delivery_key(p_report_bk, p_channel_bk, p_recipient));
    v_prior monitoring.report_delivery_s;
BEGIN
    PERFORM FROM monitoring.report_delivery_h h WHERE h.report_delivery_hk = v_hk FOR NO KEY UPDATE;
    SELECT * INTO v_prior FROM monitoring.report_delivery_s s WHERE s.report_delivery_hk = v_hk AND s.load_end_date IS NULL;
    IF v_prior.report_delivery_hk IS NULL THEN
        RAISE EXCEPTION 'no attempt to mail % to % of channel % was begun', p_report_bk, p_recipient, p_channel_bk
            USING ERRCODE = 'P0002', HINT = 'Call monitoring.begin_report_delivery first.';
    END IF;
    -- What was delivered stays so: a late word about an earlier attempt does not take it back.
    IF v_prior.delivery_status = 'DELIVERED' OR v_prior.attempt_key <> p_attempt_key AND p_status <> 'DELIVERED' THEN
        RETURN false;
    END IF;
    INSERT INTO monitoring.report_delivery_s (
        report_delivery_hk, hash_diff, delivery_status, recipient_address, attempt_key, attempted_at, outcome_class, failure_reason,
        delivery_proof, external_message_id, content_sha256, possible_duplicate)
    VALUES (
        v_hk, '\x', p_status, p_recipient, p_attempt_key, p_at, p_class, nullif(p_reason, ''),
        nullif(p_proof, ''), nullif(p_external_id, ''), nullif(p_sha256, ''), v_prior.possible_duplicate);
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.end_report_delivery(text, text, text, text, timestamptz, text, text, text, text, text, text) IS
    'Writes the outcome of an attempt to mail a report; false: a later attempt, or a delivery, stands already.';

CREATE OR REPLACE FUNCTION monitoring.may_read_reports() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT NOT coalesce(pg_has_role(current_user, to_regrole('onevault_reader')::oid, 'MEMBER'), false)
           OR EXISTS (SELECT FROM pg_roles r
                       WHERE r.rolname IN ('onevault_owner', 'onevault_worker', 'onevault_operator', 'pg_read_all_data')
                         AND pg_has_role(current_user, r.oid, 'MEMBER'))
    $$;
COMMENT ON FUNCTION monitoring.may_read_reports() IS
    'Whether the present role may read reports, which tell of all tenants: not one who is a reader of some only.';

-- The tables below it follow: whoever does not see a report sees none of its rows.
DROP POLICY IF EXISTS not_for_readers ON monitoring.report_h;
CREATE POLICY not_for_readers ON monitoring.report_h USING (monitoring.may_read_reports());
ALTER TABLE monitoring.report_h ENABLE ROW LEVEL SECURITY;
