-- Notification channels: what makes one usable, and which of them hear an alert.

CREATE OR REPLACE FUNCTION monitoring.require_channel_field(p_channel text, p_configuration jsonb, p_field text, p_example text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF coalesce(btrim(p_configuration ->> p_field), '') = '' THEN
        RAISE EXCEPTION 'channel "%": configuration.% is missing', p_channel, p_field
            USING ERRCODE = '22023', HINT = format('Add it, for example: "%s": %s', p_field, p_example);
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.require_channel_field(text, jsonb, text, text) IS
    'Raises 22023 when a channel''s configuration lacks a field.';

CREATE OR REPLACE FUNCTION monitoring.names_any(p_configuration jsonb, VARIADIC p_fields text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT EXISTS (SELECT FROM unnest(p_fields) AS f WHERE btrim(p_configuration ->> f) <> '') $$;
COMMENT ON FUNCTION monitoring.names_any(jsonb, text[]) IS
    'Whether a channel''s configuration gives one of several fields; null and blank give nothing.';

CREATE OR REPLACE FUNCTION monitoring.configured_list(p_configuration jsonb, p_field text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_list jsonb := p_configuration -> p_field;
BEGIN
    -- The guide stores a text that holds a JSON array; an array itself is accepted as well.
    IF jsonb_typeof(v_list) = 'string' THEN
        v_list := (p_configuration ->> p_field)::jsonb;
    END IF;
    RETURN ARRAY(SELECT jsonb_array_elements_text(v_list));
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.configured_list(jsonb, text) IS
    'A list in a channel''s configuration, given as an array or as text that holds one; NULL: neither.';

CREATE OR REPLACE FUNCTION monitoring.email_addresses(p_configuration jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT monitoring.configured_list(p_configuration, 'to_addresses') $$;
COMMENT ON FUNCTION monitoring.email_addresses(jsonb) IS
    'The to_addresses of an e-mail channel, given as an array or as text that holds one; NULL: neither.';

CREATE OR REPLACE FUNCTION monitoring.is_phone_number(p_number text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT translate(p_number, ' -./()', '') ~ '^\+[1-9][0-9]{6,14}$' $$;
COMMENT ON FUNCTION monitoring.is_phone_number(text) IS
    'Whether a text is a telephone number with its country, +4930123456; what people write between the digits does not matter.';

CREATE OR REPLACE FUNCTION monitoring.check_channel_url(p_channel text, p_configuration jsonb, p_field text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF p_configuration ? p_field AND (p_configuration ->> p_field) !~* '^https?://[^/\s]+' THEN
        -- The value may be a secret, so the message does not repeat it.
        RAISE EXCEPTION 'channel "%": configuration.% is not an http or https URL', p_channel, p_field
            USING ERRCODE = '22023', HINT = 'Give a whole URL such as https://host/path.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_channel_url(text, jsonb, text) IS
    'Raises 22023 when a field of a channel''s configuration is given and is not a URL.';

CREATE OR REPLACE FUNCTION monitoring.check_telephone_channel(p_channel text, p_type text, c jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_number text;
BEGIN
    IF NOT monitoring.names_any(c, 'account_sid', 'account_sid_env', 'account_sid_file') THEN
        RAISE EXCEPTION 'channel "%": configuration.account_sid is missing', p_channel
            USING ERRCODE = '22023', HINT = 'Give the SID of the Twilio account, AC and 32 hexadecimal digits: "account_sid": "AC..."';
    END IF;
    IF monitoring.names_any(c, 'account_sid') AND (c ->> 'account_sid') !~ '^AC[0-9a-fA-F]{32}$' THEN
        RAISE EXCEPTION 'channel "%": configuration.account_sid is "%"', p_channel, c ->> 'account_sid'
            USING ERRCODE = '22023', HINT = 'It is AC and 32 hexadecimal digits, as Twilio''s console shows it.';
    END IF;
    IF NOT monitoring.names_any(c, 'auth_token_env', 'auth_token_file') THEN
        RAISE EXCEPTION 'channel "%": configuration.auth_token_env is missing', p_channel
            USING ERRCODE = '22023', HINT = 'Name the environment variable that holds the account''s auth token: "auth_token_env": "TWILIO_AUTH_TOKEN"';
    END IF;
    PERFORM monitoring.require_channel_field(p_channel, c, 'to_numbers', '["+4930123456"]');
    IF coalesce(cardinality(monitoring.configured_list(c, 'to_numbers')), 0) = 0 THEN
        RAISE EXCEPTION 'channel "%": configuration.to_numbers is "%"', p_channel, c ->> 'to_numbers'
            USING ERRCODE = '22023', HINT = 'Give an array with at least one number: ["+4930123456"]';
    END IF;
    FOREACH v_number IN ARRAY monitoring.configured_list(c, 'to_numbers') LOOP
        IF NOT coalesce(monitoring.is_phone_number(v_number), false) THEN
            RAISE EXCEPTION 'channel "%": configuration.to_numbers holds "%"', p_channel, v_number
                USING ERRCODE = '22023', HINT = 'Write numbers with their country, like +4930123456.';
        END IF;
    END LOOP;
    IF p_type = 'VOICE' OR NOT monitoring.names_any(c, 'messaging_service_sid') THEN
        PERFORM monitoring.require_channel_field(p_channel, c, 'from_number', '"+4930123456"');
    END IF;
    IF p_type = 'VOICE' AND (c ->> 'from_number') !~ '^\+[1-9][0-9]{6,14}$' THEN
        RAISE EXCEPTION 'channel "%": configuration.from_number is "%", from which no call can be made', p_channel, c ->> 'from_number'
            USING ERRCODE = '22023', HINT = 'Give a number of the Twilio account, like +4930123456.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_telephone_channel(text, text, jsonb) IS
    'Raises 22023 when the configuration of an SMS or VOICE channel could never reach anybody.';

CREATE OR REPLACE FUNCTION monitoring.check_channel_templates(p_channel text, p_templates jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_field text;
    v_value jsonb;
    v_hint  text := 'Write {"subject": "...", "text": ["..."], "events": {"RESOLVED": {"subject": "..."}}}; `onevault channel preview` tries it.';
BEGIN
    IF p_templates IS NULL THEN
        RETURN;
    ELSIF jsonb_typeof(p_templates) <> 'object' THEN
        RAISE EXCEPTION 'channel "%": configuration.templates is a JSON %, not an object', p_channel, jsonb_typeof(p_templates)
            USING ERRCODE = '22023', HINT = v_hint;
    END IF;
    FOR v_field, v_value IN SELECT key, value FROM jsonb_each(p_templates) LOOP
        IF v_field = 'events' AND jsonb_typeof(v_value) = 'object' THEN
            FOR v_field, v_value IN SELECT key, value FROM jsonb_each(v_value) LOOP
                IF v_field NOT IN ('FIRED', 'ESCALATED', 'ACKNOWLEDGED', 'RESOLVED', 'REOPENED', 'FLAPPING', 'UNANSWERED', 'SILENCE_ENDING', 'TEST') THEN
                    RAISE EXCEPTION 'channel "%": configuration.templates.events names "%"', p_channel, v_field
                        USING ERRCODE = '22023', HINT = 'Use FIRED, ESCALATED, ACKNOWLEDGED, RESOLVED, REOPENED, FLAPPING, UNANSWERED, SILENCE_ENDING or TEST.';
                ELSIF v_value ? 'events' THEN
                    RAISE EXCEPTION 'channel "%": configuration.templates.events.% holds events itself', p_channel, v_field
                        USING ERRCODE = '22023', HINT = v_hint;
                END IF;
                PERFORM monitoring.check_channel_templates(p_channel, v_value);
            END LOOP;
        ELSIF NOT (v_field = 'subject' AND jsonb_typeof(v_value) = 'string' OR v_field = 'text' AND jsonb_typeof(v_value) IN ('string', 'array')) THEN
            RAISE EXCEPTION 'channel "%": configuration.templates.% is not what a template may be', p_channel, v_field
                USING ERRCODE = '22023', HINT = v_hint;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.check_channel_templates(text, jsonb) IS
    'Raises 22023 when the templates of a channel have not their form. What stands in them the worker judges: see onevault channel preview.';

CREATE OR REPLACE FUNCTION monitoring.check_slack_channel(p_channel text, p_configuration jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    c         jsonb   := p_configuration;
    v_webhook boolean := monitoring.names_any(c, 'webhook_url', 'webhook_url_env', 'webhook_url_file');
BEGIN
    IF NOT monitoring.names_any(c, 'bot_token_env', 'bot_token_file') THEN
        IF NOT v_webhook THEN
            RAISE EXCEPTION 'channel "%": configuration.webhook_url is missing', p_channel
                USING ERRCODE = '22023',
                      HINT = 'Give the incoming webhook, best by reference: "webhook_url_env": "SLACK_WEBHOOK_URL"; or, for buttons, an app''s token: "bot_token_env": "SLACK_BOT_TOKEN", "channel": "C0123456789"';
        END IF;
        PERFORM monitoring.check_channel_url(p_channel, c, 'webhook_url');
        RETURN;
    END IF;
    IF v_webhook THEN
        RAISE EXCEPTION 'channel "%": configuration names both a bot token and a webhook_url', p_channel
            USING ERRCODE = '22023', HINT = 'Remove one of the two; the bot token gives buttons, and edits its messages.';
    END IF;
    PERFORM monitoring.require_channel_field(p_channel, c, 'channel', '"C0123456789" or "#ops-alerts"');
    IF btrim(c ->> 'channel') !~ '^(#[^\s#]+|[CGD][A-Z0-9]{8,})$' THEN
        RAISE EXCEPTION 'channel "%": configuration.channel is "%"', p_channel, c ->> 'channel'
            USING ERRCODE = '22023', HINT = 'Give the id, such as "C0123456789", or the name with its mark, such as "#ops-alerts".';
    END IF;
    PERFORM monitoring.check_channel_url(p_channel, c, 'api_base_url');
END
$$;
COMMENT ON FUNCTION monitoring.check_slack_channel(text, jsonb) IS
    'Raises 22023 when a Slack channel names neither an incoming webhook nor an app''s token, both, or no channel to write to.';

CREATE OR REPLACE FUNCTION monitoring.check_notification_config() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    c          jsonb := NEW.configuration;
    v_port     text;
    v_filter   text;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere: it was legal in its time
    END IF;
    IF jsonb_typeof(c) <> 'object' THEN
        RAISE EXCEPTION 'channel "%": configuration is a JSON %, not an object', NEW.channel_name, jsonb_typeof(c)
            USING ERRCODE = '22023', HINT = 'Build it with jsonb_build_object(...).';
    END IF;
    FOREACH v_filter IN ARRAY coalesce(NEW.severity_filter, '{}') LOOP
        IF v_filter NOT IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL') THEN
            RAISE EXCEPTION 'channel "%": severity_filter names "%"', NEW.channel_name, v_filter
                USING ERRCODE = '22023', HINT = 'Use LOW, MEDIUM, HIGH or CRITICAL; NULL lets all through.';
        END IF;
    END LOOP;
    IF NEW.rate_limit_per_hour < 0 THEN
        RAISE EXCEPTION 'channel "%": rate_limit_per_hour is %', NEW.channel_name, NEW.rate_limit_per_hour
            USING ERRCODE = '22023', HINT = 'Give how many messages one recipient may get within an hour; NULL or 0 is no limit.';
    END IF;
    IF c ?| ARRAY['smtp_password', 'password', 'bot_token', 'auth_token', 'secret', 'routing_key', 'webhook_secret', 'integration_key', 'api_key'] THEN
        RAISE EXCEPTION 'channel "%": configuration holds a secret itself', NEW.channel_name
            USING ERRCODE = '22023',
                  HINT = 'Put the secret into an environment variable of the worker and name it: "smtp_password_env": "SMTP_PASSWORD" (or ..._file with a path).';
    END IF;

    IF c ? 'daily_report' AND jsonb_typeof(c -> 'daily_report') <> 'boolean' THEN
        RAISE EXCEPTION 'channel "%": configuration.daily_report is %', NEW.channel_name, c -> 'daily_report'
            USING ERRCODE = '22023', HINT = 'Give true or false, without quotes: "daily_report": true';
    END IF;
    IF c -> 'daily_report' = 'true' AND NEW.channel_type <> 'EMAIL' THEN
        RAISE EXCEPTION 'channel "%": configuration.daily_report is true, but a channel of type % cannot carry a report', NEW.channel_name, NEW.channel_type
            USING ERRCODE = '22023', HINT = 'Remove it, and ask for the report in a channel of type EMAIL.';
    END IF;

    IF c ? 'one_message_per_alert' AND jsonb_typeof(c -> 'one_message_per_alert') <> 'boolean' THEN
        RAISE EXCEPTION 'channel "%": configuration.one_message_per_alert is %', NEW.channel_name, c -> 'one_message_per_alert'
            USING ERRCODE = '22023', HINT = 'Give true or false, without quotes: "one_message_per_alert": true';
    END IF;
    PERFORM monitoring.check_channel_templates(NEW.channel_name, c -> 'templates');

    PERFORM monitoring.check_time_restrictions(NEW.channel_name, NEW.time_restrictions);
    IF monitoring.unknown_groups(NEW.recipient_groups) <> '{}' THEN
        RAISE WARNING 'channel "%": recipient_groups names % that there is not', NEW.channel_name, array_to_string(monitoring.unknown_groups(NEW.recipient_groups), ', ')
            USING HINT = 'Until there is, the recipients of its configuration alone are told. `onevault contact apply FILE` brings groups.';
    END IF;

    IF NEW.delivery_confirmation_required AND NEW.channel_type = 'EMAIL' AND c -> 'delivery_receipts' IS DISTINCT FROM 'true' THEN
        RAISE WARNING 'channel "%": delivery_confirmation_required is true, and no mail server is asked for a receipt: each message goes on to the next place after % minutes',
                      NEW.channel_name, NEW.confirmation_timeout_minutes
            USING HINT = 'Let the configuration ask for receipts: "delivery_receipts": true, "bounce_address": "bounces@example.com"; or do not require them.';
    END IF;

    CASE NEW.channel_type
    WHEN 'EMAIL' THEN
        PERFORM monitoring.require_channel_field(NEW.channel_name, c, 'smtp_server', '"smtp.example.com"');
        PERFORM monitoring.require_channel_field(NEW.channel_name, c, 'from_address', '"OneVault <alerts@example.com>"');
        PERFORM monitoring.require_channel_field(NEW.channel_name, c, 'to_addresses', '["oncall@example.com"]');
        v_port := coalesce(c ->> 'smtp_port', '587');
        IF v_port !~ '^[0-9]{1,5}$' OR v_port::integer NOT BETWEEN 1 AND 65535 THEN
            RAISE EXCEPTION 'channel "%": configuration.smtp_port is "%"', NEW.channel_name, v_port
                USING ERRCODE = '22023', HINT = 'Use a port from 1 to 65535, usually 587.';
        END IF;
        IF coalesce(cardinality(monitoring.email_addresses(c)), 0) = 0 THEN
            RAISE EXCEPTION 'channel "%": configuration.to_addresses is "%"', NEW.channel_name, c ->> 'to_addresses'
                USING ERRCODE = '22023', HINT = 'Give an array with at least one address: ["oncall@example.com"]';
        END IF;
        FOREACH v_filter IN ARRAY monitoring.email_addresses(c) LOOP
            IF v_filter !~ '^[^\s@]+@[^\s@]+$' AND v_filter !~ '<[^\s@<>]+@[^\s@<>]+>$' THEN
                RAISE EXCEPTION 'channel "%": configuration.to_addresses holds "%"', NEW.channel_name, v_filter
                    USING ERRCODE = '22023', HINT = 'Give addresses like oncall@example.com.';
            END IF;
        END LOOP;
        PERFORM monitoring.check_bounce_address(NEW.channel_name, c);
        IF monitoring.names_any(c, 'smtp_username') AND NOT monitoring.names_any(c, 'smtp_password_env', 'smtp_password_file') THEN
            RAISE EXCEPTION 'channel "%": configuration.smtp_password_env is missing, but smtp_username is given', NEW.channel_name
                USING ERRCODE = '22023', HINT = 'Name the environment variable that holds the password: "smtp_password_env": "SMTP_PASSWORD"';
        END IF;
    WHEN 'SLACK' THEN
        PERFORM monitoring.check_slack_channel(NEW.channel_name, c);
    WHEN 'WEBHOOK' THEN
        IF NOT monitoring.names_any(c, 'url', 'url_env', 'url_file') THEN
            RAISE EXCEPTION 'channel "%": configuration.url is missing', NEW.channel_name
                USING ERRCODE = '22023', HINT = 'Give the address that takes the alerts: "url": "https://example.com/alerts"';
        END IF;
        PERFORM monitoring.check_channel_url(NEW.channel_name, c, 'url');
        IF NOT monitoring.names_any(c, 'secret_env', 'secret_file') AND c -> 'unsigned' IS DISTINCT FROM 'true'::jsonb THEN
            RAISE EXCEPTION 'channel "%": configuration.secret_env is missing, so receivers could not check who sent a message', NEW.channel_name
                USING ERRCODE = '22023', HINT = 'Name the environment variable that holds the signing secret ("secret_env": "WEBHOOK_SECRET"), or state "unsigned": true.';
        END IF;
    WHEN 'SMS', 'VOICE' THEN
        PERFORM monitoring.check_telephone_channel(NEW.channel_name, NEW.channel_type, c);
        PERFORM monitoring.check_channel_url(NEW.channel_name, c, 'api_base_url');
    WHEN 'PAGERDUTY' THEN
        IF NOT monitoring.names_any(c, 'routing_key_env', 'routing_key_file') THEN
            RAISE EXCEPTION 'channel "%": configuration.routing_key_env is missing', NEW.channel_name
                USING ERRCODE = '22023', HINT = 'Name the environment variable that holds the integration key of the PagerDuty service (Events API v2): "routing_key_env": "PAGERDUTY_ROUTING_KEY"';
        END IF;
        PERFORM monitoring.check_channel_url(NEW.channel_name, c, 'api_base_url');
    ELSE
        NULL;  -- the type's own CHECK refuses what is none
    END CASE;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_notification_config() IS
    'Trigger of notification_config_s: refuses a channel that could never deliver, or that holds a secret.';
CREATE OR REPLACE TRIGGER t10_check_notification_config BEFORE INSERT ON monitoring.notification_config_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_notification_config();

CREATE OR REPLACE FUNCTION monitoring.matching_channels(
    p_alert_definition_hk bytea, p_severity text, p_category text, p_channels text[])
    RETURNS TABLE (notification_config_hk bytea, channel_key varchar(255), channel_name varchar(100), channel_type varchar(50),
                   configuration jsonb, retry_attempts integer, retry_delay_seconds integer)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.notification_config_hk, h.notification_config_bk, c.channel_name, c.channel_type,
           c.configuration, c.retry_attempts, c.retry_delay_seconds
      FROM monitoring.notification_config_s c
      JOIN monitoring.notification_config_h h USING (notification_config_hk)
      LEFT JOIN monitoring.alert_definition_h d ON d.alert_definition_hk = p_alert_definition_hk
     WHERE c.load_end_date IS NULL
       AND c.is_enabled
       AND (c.severity_filter IS NULL OR p_severity = ANY (c.severity_filter))
       AND (c.category_filter IS NULL OR p_category = ANY (c.category_filter))
       AND (p_channels IS NULL OR c.channel_type = ANY (p_channels) OR h.notification_config_bk = ANY (p_channels))
       AND (h.tenant_hk IS NULL OR h.tenant_hk = d.tenant_hk)
     ORDER BY h.notification_config_bk
    $$;
COMMENT ON FUNCTION monitoring.matching_channels(bytea, text, text, text[]) IS
    'The enabled channels that hear an alert of a definition: severity, category, the definition''s own restriction, tenant.';
