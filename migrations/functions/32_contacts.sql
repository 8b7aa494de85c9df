-- Contacts, the groups by which channels name them, and the hours in which a channel or a person is told. What could
-- never work is refused when it is written.

CREATE OR REPLACE FUNCTION monitoring.contact_problem(p_contact text, p_field text, p_problem text, p_remedy text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    RAISE EXCEPTION 'contact "%": % %', p_contact, p_field, p_problem USING ERRCODE = '22023', HINT = p_remedy;
END
$$;
COMMENT ON FUNCTION monitoring.contact_problem(text, text, text, text) IS 'Raises 22023: what is wrong with which field of a contact, and what to do.';

CREATE OR REPLACE FUNCTION monitoring.check_contact() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    c_types text[] := ARRAY['EMAIL', 'SMS', 'VOICE', 'SLACK'];
    v_key   text := (SELECT h.contact_bk FROM monitoring.contact_h h WHERE h.contact_hk = NEW.contact_hk);
    v_type  text;
    v_field text;
    v_other record;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere: it was legal in its time
    END IF;
    IF btrim(NEW.contact_name) = '' THEN
        PERFORM monitoring.contact_problem(v_key, 'contact_name', 'is empty', 'Give the person''s name.');
    END IF;
    IF NEW.email_address !~ '^[^\s@<>,;"]+@[^\s@<>,;"]+$' THEN
        PERFORM monitoring.contact_problem(v_key, 'email_address', format('is "%s"', NEW.email_address), 'Give one address alone, like dana@example.com.');
    END IF;
    NEW.phone_number := translate(NEW.phone_number, ' -./()', '');
    IF NOT monitoring.is_phone_number(NEW.phone_number) THEN
        PERFORM monitoring.contact_problem(v_key, 'phone_number', format('is "%s"', NEW.phone_number), 'Write it with its country, like +4930123456.');
    END IF;
    IF NEW.slack_user_id !~ '^[UW][A-Z0-9]{6,20}$' THEN
        PERFORM monitoring.contact_problem(v_key, 'slack_user_id', format('is "%s"', NEW.slack_user_id),
            'Give the member ID of the profile in Slack, like U0123456789, and not the name.');
    END IF;
    IF NEW.pagerduty_user_id !~ '^[A-Z0-9]{6,20}$' THEN
        PERFORM monitoring.contact_problem(v_key, 'pagerduty_user_id', format('is "%s"', NEW.pagerduty_user_id),
            'Give the id at the end of the address of the profile in PagerDuty, like PABC123.');
    END IF;
    IF NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = NEW.time_zone) THEN
        PERFORM monitoring.contact_problem(v_key, 'time_zone', format('is "%s"', NEW.time_zone),
            'Use a name of pg_timezone_names, such as Europe/Berlin or UTC; upper and lower case differ.');
    END IF;
    IF (NEW.quiet_from IS NULL) <> (NEW.quiet_until IS NULL) THEN
        PERFORM monitoring.contact_problem(v_key, CASE WHEN NEW.quiet_from IS NULL THEN 'quiet_from' ELSE 'quiet_until' END, 'is missing',
            'Give both, like 22:00 and 07:00, or neither.');
    END IF;
    IF NEW.quiet_from = NEW.quiet_until OR NEW.quiet_from = '24:00' OR NEW.quiet_until = '24:00' THEN
        PERFORM monitoring.contact_problem(v_key, 'quiet_until', format('is %s, and quiet_from %s', NEW.quiet_until, NEW.quiet_from),
            'Give two different times from 00:00 to 23:59. Who is to be told nothing at all gets is_enabled = false.');
    END IF;
    FOREACH v_type IN ARRAY coalesce(NEW.preferred_channels, '{}') LOOP
        v_field := CASE v_type WHEN 'EMAIL' THEN 'email_address' WHEN 'SLACK' THEN 'slack_user_id' ELSE 'phone_number' END;
        IF v_type IS NULL OR v_type <> ALL (c_types) THEN
            PERFORM monitoring.contact_problem(v_key, 'preferred_channels', format('names "%s"', v_type), 'Use ' || array_to_string(c_types, ', ') || '.');
        ELSIF cardinality(array_positions(NEW.preferred_channels, v_type)) > 1 THEN
            PERFORM monitoring.contact_problem(v_key, 'preferred_channels', format('names %s twice', v_type), 'Name each type once.');
        ELSIF to_jsonb(NEW) ->> v_field IS NULL THEN
            PERFORM monitoring.contact_problem(v_key, 'preferred_channels', format('names %s, but %s is missing', v_type, v_field),
                format('Give %s, or take %s out.', v_field, v_type));
        END IF;
    END LOOP;

    -- By what stands here an answer is known to be somebody's: two people cannot share it.
    FOR v_field, v_type IN SELECT key, value FROM jsonb_each_text(to_jsonb(NEW)) WHERE key IN ('slack_user_id', 'pagerduty_user_id') AND value IS NOT NULL LOOP
        SELECT h.contact_bk INTO v_other
          FROM monitoring.contact_s s
          JOIN monitoring.contact_h h USING (contact_hk)
         WHERE s.load_end_date IS NULL AND s.contact_hk <> NEW.contact_hk AND to_jsonb(s) ->> v_field = v_type
         LIMIT 1;
        IF FOUND THEN
            PERFORM monitoring.contact_problem(v_key, v_field, format('is "%s", which is that of contact "%s"', v_type, v_other.contact_bk), 'Take it out of one of the two.');
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_contact() IS 'Trigger of contact_s: refuses a contact that could not be reached as it says, and an account that is somebody else''s.';
CREATE OR REPLACE TRIGGER t10_check_contact BEFORE INSERT ON monitoring.contact_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_contact();

CREATE OR REPLACE FUNCTION monitoring.check_membership() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_group   monitoring.recipient_group_h := (SELECT g FROM monitoring.recipient_group_h g WHERE g.recipient_group_hk = NEW.recipient_group_hk);
    v_contact monitoring.contact_h         := (SELECT c FROM monitoring.contact_h c WHERE c.contact_hk = NEW.contact_hk);
BEGIN
    IF v_group.tenant_hk <> v_contact.tenant_hk THEN
        RAISE EXCEPTION 'group "%": contact "%" belongs to another tenant', v_group.recipient_group_bk, v_contact.contact_bk
            USING ERRCODE = '22023', HINT = 'A group of a tenant holds that tenant''s contacts, and those of none.';
    END IF;
    NEW.tenant_hk := coalesce(v_group.tenant_hk, v_contact.tenant_hk);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_membership() IS 'Trigger of recipient_group_contact_l: no contact of one tenant in a group of another.';
CREATE OR REPLACE TRIGGER t10_check_membership BEFORE INSERT ON monitoring.recipient_group_contact_l
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_membership();

-- ---------------------------------------------------------------- when a channel is told

CREATE OR REPLACE FUNCTION monitoring.is_clock_time(p_time jsonb, p_end boolean) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(jsonb_typeof(p_time) = 'string' AND (p_time #>> '{}' ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' OR p_end AND p_time #>> '{}' = '24:00'), false) $$;
COMMENT ON FUNCTION monitoring.is_clock_time(jsonb, boolean) IS 'Whether a value is a time of day such as "08:00"; an end may be "24:00".';

CREATE OR REPLACE FUNCTION monitoring.check_time_restrictions(p_channel text, p_restrictions jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    c_fields text[] := ARRAY['timezone', 'windows', 'outside', 'applies_to_critical'];
    c_days   text[] := ARRAY['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
    r        jsonb  := p_restrictions;
    v_window jsonb;
    v_place  text;
    v_field  text;
    v_value  jsonb;
    v_hint   text := 'Write {"timezone": "Europe/Berlin", "windows": [{"days": ["Mon", "Fri"], "from": "08:00", "to": "18:00"}], "outside": "hold"}, or NULL: at any time.';
BEGIN
    IF r IS NULL THEN
        RETURN;
    ELSIF jsonb_typeof(r) <> 'object' THEN
        RAISE EXCEPTION 'channel "%": time_restrictions is %', p_channel, r USING ERRCODE = '22023', HINT = v_hint;
    END IF;
    FOR v_field IN SELECT k FROM jsonb_object_keys(r) AS k WHERE k <> ALL (c_fields) LOOP
        RAISE EXCEPTION 'channel "%": time_restrictions.% is unknown', p_channel, v_field
            USING ERRCODE = '22023', HINT = 'Use ' || array_to_string(c_fields, ', ') || '. ' || v_hint;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE to_jsonb(z.name) = coalesce(r -> 'timezone', '"UTC"')) THEN
        RAISE EXCEPTION 'channel "%": time_restrictions.timezone is %', p_channel, r -> 'timezone'
            USING ERRCODE = '22023', HINT = 'Use a name of pg_timezone_names, such as Europe/Berlin; upper and lower case differ.';
    END IF;
    IF coalesce(r -> 'outside', '"hold"') NOT IN ('"hold"', '"skip"') THEN
        RAISE EXCEPTION 'channel "%": time_restrictions.outside is %', p_channel, r -> 'outside'
            USING ERRCODE = '22023', HINT = 'Use "hold" (told when the next window opens, if still true) or "skip" (not told).';
    END IF;
    IF coalesce(jsonb_typeof(r -> 'applies_to_critical'), 'boolean') <> 'boolean' THEN
        RAISE EXCEPTION 'channel "%": time_restrictions.applies_to_critical is %', p_channel, r -> 'applies_to_critical'
            USING ERRCODE = '22023', HINT = 'Give true or false, without quotes. Without it, what is CRITICAL is told at any time.';
    END IF;
    IF coalesce(jsonb_typeof(r -> 'windows'), '') <> 'array' OR jsonb_array_length(r -> 'windows') NOT BETWEEN 1 AND 50 THEN
        RAISE EXCEPTION 'channel "%": time_restrictions.windows is %', p_channel, coalesce((r -> 'windows')::text, 'missing')
            USING ERRCODE = '22023', HINT = 'Give a list of 1 to 50 windows. ' || v_hint;
    END IF;
    FOR v_place, v_window IN
        SELECT format('time_restrictions.windows[%s]', n - 1), w FROM jsonb_array_elements(r -> 'windows') WITH ORDINALITY AS x (w, n)
    LOOP
        IF jsonb_typeof(v_window) <> 'object' THEN
            RAISE EXCEPTION 'channel "%": % is %', p_channel, v_place, v_window USING ERRCODE = '22023', HINT = v_hint;
        END IF;
        FOR v_field IN SELECT k FROM jsonb_object_keys(v_window) AS k WHERE k NOT IN ('days', 'from', 'to') LOOP
            RAISE EXCEPTION 'channel "%": %.% is unknown', p_channel, v_place, v_field USING ERRCODE = '22023', HINT = 'Use days, from, to. ' || v_hint;
        END LOOP;
        FOREACH v_field IN ARRAY ARRAY['from', 'to'] LOOP
            IF NOT monitoring.is_clock_time(v_window -> v_field, v_field = 'to') THEN
                RAISE EXCEPTION 'channel "%": %.% is %', p_channel, v_place, v_field, coalesce((v_window -> v_field)::text, 'missing')
                    USING ERRCODE = '22023', HINT = 'Give a time of day such as "08:00"; "to" may be "24:00".';
            END IF;
        END LOOP;
        IF v_window -> 'from' = v_window -> 'to' THEN
            RAISE EXCEPTION 'channel "%": % begins and ends at %', p_channel, v_place, v_window -> 'from'
                USING ERRCODE = '22023', HINT = 'For a whole day write "from": "00:00", "to": "24:00".';
        END IF;
        IF v_window ? 'days' AND (jsonb_typeof(v_window -> 'days') <> 'array' OR jsonb_array_length(v_window -> 'days') = 0) THEN
            RAISE EXCEPTION 'channel "%": %.days is %', p_channel, v_place, v_window -> 'days'
                USING ERRCODE = '22023', HINT = 'Give a list such as ["Mon", "Tue"], or leave it out: every day.';
        END IF;
        FOR v_value IN SELECT d FROM jsonb_array_elements(v_window -> 'days') AS d WHERE to_jsonb(c_days) @> d IS NOT TRUE OR jsonb_typeof(d) <> 'string' LOOP
            RAISE EXCEPTION 'channel "%": %.days names %', p_channel, v_place, v_value
                USING ERRCODE = '22023', HINT = 'Use ' || array_to_string(c_days, ', ') || '.';
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.check_time_restrictions(text, jsonb) IS
    'Raises 22023 when the time_restrictions of a channel have not their form: {timezone, windows: [{days, from, to}], outside: hold or skip, applies_to_critical}.';

-- ---------------------------------------------------------------- whom a channel reaches by its groups

CREATE OR REPLACE FUNCTION monitoring.group_members(p_group text) RETURNS TABLE (contact_hk bytea, member_position integer)
    LANGUAGE sql STABLE
    AS $$
    SELECT l.contact_hk, e.member_position
      FROM monitoring.recipient_group_contact_l l
      JOIN monitoring.recipient_group_contact_eff_s e USING (link_recipient_group_contact_hk)
     WHERE l.recipient_group_hk = util.hash_binary(p_group)
       AND e.load_end_date IS NULL AND e.effective_from <= statement_timestamp() AND (e.effective_to IS NULL OR e.effective_to > statement_timestamp())
    $$;
COMMENT ON FUNCTION monitoring.group_members(text) IS 'The contacts that belong to a group now, disabled ones as well.';

CREATE OR REPLACE FUNCTION monitoring.unknown_groups(p_groups text[]) RETURNS text[]
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(array_agg(g ORDER BY g), '{}') FROM unnest(p_groups) AS g
     WHERE NOT EXISTS (SELECT FROM monitoring.recipient_group_h h WHERE h.recipient_group_bk = g)
    $$;
COMMENT ON FUNCTION monitoring.unknown_groups(text[]) IS 'Those of the named recipient groups that there are not.';

CREATE OR REPLACE FUNCTION monitoring.contact_addresses(c monitoring.contact_s) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('EMAIL', c.email_address, 'SMS', c.phone_number, 'VOICE', c.phone_number, 'SLACK', c.slack_user_id))
    $$;
COMMENT ON FUNCTION monitoring.contact_addresses(monitoring.contact_s) IS 'Where a contact is reached by each type of channel: {"EMAIL": "dana@example.com", ...}.';

CREATE OR REPLACE FUNCTION monitoring.contacts_of_groups(p_groups text[], p_tenant_hk bytea) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
               'key', f.contact_bk, 'name', (f.s).contact_name, 'zone', (f.s).time_zone,
               'quiet_from', to_char((f.s).quiet_from, 'HH24:MI'), 'quiet_until', to_char((f.s).quiet_until, 'HH24:MI'),
               'order', to_jsonb((f.s).preferred_channels), 'addresses', monitoring.contact_addresses(f.s)))
               ORDER BY f.group_position, f.member_position, f.contact_bk), '[]')
      FROM (SELECT DISTINCT ON (c.contact_bk) c.contact_bk, s, g.n AS group_position, m.member_position
              FROM unnest(p_groups) WITH ORDINALITY AS g (name, n)
              JOIN monitoring.recipient_group_h h ON h.recipient_group_bk = g.name AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
             CROSS JOIN LATERAL monitoring.group_members(g.name) AS m
              JOIN monitoring.contact_h c ON c.contact_hk = m.contact_hk AND (c.tenant_hk IS NULL OR c.tenant_hk = p_tenant_hk)
              JOIN monitoring.contact_s s ON s.contact_hk = m.contact_hk AND s.load_end_date IS NULL AND s.is_enabled
             ORDER BY c.contact_bk, g.n, m.member_position) AS f
    $$;
COMMENT ON FUNCTION monitoring.contacts_of_groups(text[], bytea) IS
    'The enabled contacts of some groups in their order, nobody twice, as far as a channel of the tenant (NULL: of none) may tell them: [{key, name, zone, quiet_from, quiet_until, order, addresses}].';

CREATE OR REPLACE FUNCTION monitoring.channel_reach(p_channels text[])
    RETURNS TABLE (channel_key varchar(255), contacts jsonb, time_restrictions jsonb, confirmation_minutes integer)
    LANGUAGE sql STABLE
    AS $$
    SELECT h.notification_config_bk,
           CASE WHEN s.channel_type IN ('EMAIL', 'SMS', 'VOICE')
                  OR s.channel_type = 'SLACK' AND monitoring.names_any(s.configuration, 'bot_token_env', 'bot_token_file')
                THEN monitoring.contacts_of_groups(s.recipient_groups, h.tenant_hk) ELSE '[]' END,
           s.time_restrictions, CASE WHEN s.delivery_confirmation_required THEN s.confirmation_timeout_minutes ELSE 0 END
      FROM monitoring.notification_config_h h
      JOIN monitoring.notification_config_s s USING (notification_config_hk)
     WHERE h.notification_config_bk = ANY (p_channels) AND s.load_end_date IS NULL
     ORDER BY h.notification_config_bk
    $$;
COMMENT ON FUNCTION monitoring.channel_reach(text[]) IS
    'Whom channels tell besides the recipients of their configuration, when, and how many minutes a receipt may take (0: none is asked for). WEBHOOK, PAGERDUTY and incoming webhooks of Slack tell no contacts.';

CREATE OR REPLACE FUNCTION monitoring.set_group_members(p_group text, p_contacts text[], p_actor text DEFAULT SESSION_USER) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_group   monitoring.recipient_group_h := (SELECT g FROM monitoring.recipient_group_h g WHERE g.recipient_group_bk = p_group);
    v_contact text;
    v_at      timestamptz := clock_timestamp();
    v_link    bytea;
    v_changed integer := 0;
    v_more    integer;
BEGIN
    IF v_group.recipient_group_hk IS NULL THEN
        RAISE EXCEPTION 'group "%" is unknown', p_group
            USING ERRCODE = '22023', HINT = 'INSERT it into monitoring.recipient_group_h, or use `onevault contact apply FILE`.';
    END IF;
    FOREACH v_contact IN ARRAY p_contacts LOOP
        IF NOT EXISTS (SELECT FROM monitoring.contact_h c JOIN monitoring.contact_s s USING (contact_hk) WHERE c.contact_bk = v_contact AND s.load_end_date IS NULL) THEN
            RAISE EXCEPTION 'group "%": members names the unknown contact "%"', p_group, v_contact
                USING ERRCODE = '22023', HINT = 'Add the contact first, or correct the key; `onevault contact list` names them.';
        ELSIF cardinality(array_positions(p_contacts, v_contact)) > 1 THEN
            RAISE EXCEPTION 'group "%": members names "%" twice', p_group, v_contact USING ERRCODE = '22023', HINT = 'Name each contact once.';
        END IF;
        v_link := util.hash_binary(encode(v_group.recipient_group_hk, 'hex') || '||' || encode(util.hash_binary(v_contact), 'hex'));
        INSERT INTO monitoring.recipient_group_contact_l (link_recipient_group_contact_hk, recipient_group_hk, contact_hk)
        VALUES (v_link, v_group.recipient_group_hk, util.hash_binary(v_contact)) ON CONFLICT DO NOTHING;
        INSERT INTO monitoring.recipient_group_contact_eff_s (link_recipient_group_contact_hk, hash_diff, effective_from, member_position, changed_by)
        SELECT v_link, '\x', v_at, array_position(p_contacts, v_contact), p_actor
         WHERE NOT EXISTS (SELECT FROM monitoring.group_members(p_group) AS m
                            WHERE m.contact_hk = util.hash_binary(v_contact) AND m.member_position = array_position(p_contacts, v_contact));
        GET DIAGNOSTICS v_more = ROW_COUNT;
        v_changed := v_changed + v_more;
    END LOOP;
    INSERT INTO monitoring.recipient_group_contact_eff_s (link_recipient_group_contact_hk, hash_diff, effective_from, effective_to, member_position, changed_by)
    SELECT e.link_recipient_group_contact_hk, '\x', e.effective_from, greatest(v_at, e.effective_from), e.member_position, p_actor
      FROM monitoring.recipient_group_contact_l l
      JOIN monitoring.recipient_group_contact_eff_s e ON e.link_recipient_group_contact_hk = l.link_recipient_group_contact_hk AND e.load_end_date IS NULL AND e.effective_to IS NULL
      JOIN monitoring.contact_h c USING (contact_hk)
     WHERE l.recipient_group_hk = v_group.recipient_group_hk AND c.contact_bk <> ALL (p_contacts);
    GET DIAGNOSTICS v_more = ROW_COUNT;
    RETURN v_changed + v_more;
END
$$;
COMMENT ON FUNCTION monitoring.set_group_members(text, text[], text) IS
    'Makes exactly these contacts the members of a group, in this order; returns how many memberships changed.';
