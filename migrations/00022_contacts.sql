-- +goose Up
-- People who are told: contacts with an address for each kind of channel, and the groups by which channels name them.

CREATE TABLE monitoring.contact_h (
    contact_hk    bytea PRIMARY KEY,
    contact_bk    varchar(255) NOT NULL UNIQUE,
    tenant_hk     bytea REFERENCES auth.tenant_h,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'CONTACT_MANAGER',
    CONSTRAINT contact_h_key_is_hash CHECK (contact_hk = util.hash_binary(contact_bk::text)),
    CONSTRAINT contact_h_key_is_usable CHECK (contact_bk ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$')
);
COMMENT ON TABLE monitoring.contact_h IS 'Hub: one person who is told of alerts.';
COMMENT ON COLUMN monitoring.contact_h.contact_bk IS 'What commands and the ledger call the person: dana.';
COMMENT ON COLUMN monitoring.contact_h.tenant_hk IS 'Whose channels may tell this person; NULL: everybody''s.';

CREATE TABLE monitoring.contact_s (
    contact_hk         bytea NOT NULL REFERENCES monitoring.contact_h,
    load_date          timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date      timestamptz,
    hash_diff          bytea NOT NULL,
    contact_name       varchar(200) NOT NULL,
    email_address      varchar(320),
    phone_number       varchar(20),
    slack_user_id      varchar(30),
    pagerduty_user_id  varchar(30),
    time_zone          varchar(100) NOT NULL DEFAULT 'UTC',
    quiet_from         time(0),
    quiet_until        time(0),
    preferred_channels text[],
    is_enabled         boolean NOT NULL DEFAULT true,
    changed_by         varchar(100) NOT NULL DEFAULT SESSION_USER,
    record_source      varchar(100) NOT NULL DEFAULT 'CONTACT_MANAGER',
    PRIMARY KEY (contact_hk, load_date)
);
COMMENT ON TABLE monitoring.contact_s IS 'State satellite: the versions of a contact. INSERT a new version; it holds from the next message on. Personal data: readers see neither addresses nor numbers, and closed versions leave as retention says.';
COMMENT ON COLUMN monitoring.contact_s.contact_name IS 'The person''s name.';
COMMENT ON COLUMN monitoring.contact_s.email_address IS 'For channels of type EMAIL: dana@example.com.';
COMMENT ON COLUMN monitoring.contact_s.phone_number IS 'For channels of type SMS and VOICE, with its country: +4930123456.';
COMMENT ON COLUMN monitoring.contact_s.slack_user_id IS 'For channels of type SLACK with a bot token, as a direct message; and who it is that pressed a button: U0123456789.';
COMMENT ON COLUMN monitoring.contact_s.pagerduty_user_id IS 'Who it is that answered in PagerDuty: PABC123. Nothing is sent by it.';
COMMENT ON COLUMN monitoring.contact_s.time_zone IS 'Where the person''s clock runs: Europe/Berlin.';
COMMENT ON COLUMN monitoring.contact_s.quiet_from IS 'From when on, by that clock, only what is CRITICAL rings; NULL: anything rings at any time.';
COMMENT ON COLUMN monitoring.contact_s.quiet_until IS 'Until when; at or before quiet_from: on the next day.';
COMMENT ON COLUMN monitoring.contact_s.preferred_channels IS 'Types in the order in which they are tried when a message did not get through: {SMS,VOICE,EMAIL}. NULL: SMS, VOICE, SLACK, EMAIL, as far as there are addresses.';
COMMENT ON COLUMN monitoring.contact_s.is_enabled IS 'false: is told nothing.';
COMMENT ON COLUMN monitoring.contact_s.changed_by IS 'Who wrote this version.';

CREATE TABLE monitoring.recipient_group_h (
    recipient_group_hk bytea PRIMARY KEY,
    recipient_group_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk          bytea REFERENCES auth.tenant_h,
    load_date          timestamptz DEFAULT util.current_load_date(),
    record_source      varchar(100) NOT NULL DEFAULT 'CONTACT_MANAGER',
    CONSTRAINT recipient_group_h_key_is_hash CHECK (recipient_group_hk = util.hash_binary(recipient_group_bk::text)),
    CONSTRAINT recipient_group_h_key_is_usable CHECK (recipient_group_bk ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$')
);
COMMENT ON TABLE monitoring.recipient_group_h IS 'Hub: one group of contacts, such as ONCALL.';
COMMENT ON COLUMN monitoring.recipient_group_h.recipient_group_bk IS 'What a channel names in recipient_groups.';
COMMENT ON COLUMN monitoring.recipient_group_h.tenant_hk IS 'Whose channels may name it; NULL: everybody''s.';

CREATE TABLE monitoring.recipient_group_contact_l (
    link_recipient_group_contact_hk bytea PRIMARY KEY,
    recipient_group_hk              bytea NOT NULL REFERENCES monitoring.recipient_group_h,
    contact_hk                      bytea NOT NULL REFERENCES monitoring.contact_h,
    tenant_hk                       bytea REFERENCES auth.tenant_h,
    load_date                       timestamptz DEFAULT util.current_load_date(),
    record_source                   varchar(100) NOT NULL DEFAULT 'CONTACT_MANAGER',
    CONSTRAINT recipient_group_contact_l_once UNIQUE (recipient_group_hk, contact_hk),
    CONSTRAINT recipient_group_contact_l_key_is_hash CHECK (link_recipient_group_contact_hk =
        util.hash_binary(encode(recipient_group_hk, 'hex') || '||' || encode(contact_hk, 'hex')))
);
COMMENT ON TABLE monitoring.recipient_group_contact_l IS 'Link: a contact belongs to a group; from when until when stands in recipient_group_contact_eff_s.';
COMMENT ON COLUMN monitoring.recipient_group_contact_l.tenant_hk IS 'That of the group or the contact; NULL: everybody''s.';

CREATE TABLE monitoring.recipient_group_contact_eff_s (
    link_recipient_group_contact_hk bytea NOT NULL REFERENCES monitoring.recipient_group_contact_l,
    load_date                       timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date                   timestamptz,
    hash_diff                       bytea NOT NULL,
    effective_from                  timestamptz NOT NULL DEFAULT clock_timestamp(),
    effective_to                    timestamptz,
    member_position                 integer NOT NULL DEFAULT 1,
    changed_by                      varchar(100) NOT NULL DEFAULT SESSION_USER,
    record_source                   varchar(100) NOT NULL DEFAULT 'CONTACT_MANAGER',
    PRIMARY KEY (link_recipient_group_contact_hk, load_date),
    CONSTRAINT recipient_group_contact_eff_s_times CHECK (effective_to >= effective_from)
);
COMMENT ON TABLE monitoring.recipient_group_contact_eff_s IS 'Effectivity satellite: from when until when a contact belongs to a group, and at which place.';
COMMENT ON COLUMN monitoring.recipient_group_contact_eff_s.effective_from IS 'Since when.';
COMMENT ON COLUMN monitoring.recipient_group_contact_eff_s.effective_to IS 'Until when; NULL: it does.';
COMMENT ON COLUMN monitoring.recipient_group_contact_eff_s.member_position IS 'The place in the group, from 1: whoever comes first is asked first when a message did not get through.';
COMMENT ON COLUMN monitoring.recipient_group_contact_eff_s.changed_by IS 'Who wrote this version.';

CREATE INDEX recipient_group_contact_l_contact ON monitoring.recipient_group_contact_l (contact_hk);

ALTER TABLE monitoring.notification_config_s
    ADD COLUMN confirmation_timeout_minutes integer NOT NULL DEFAULT 5,
    ADD CONSTRAINT notification_config_s_confirmation CHECK (confirmation_timeout_minutes BETWEEN 1 AND 1440);
COMMENT ON COLUMN monitoring.notification_config_s.confirmation_timeout_minutes IS 'Where delivery_confirmation_required: how many minutes the receipt may take before the message goes to the next place.';

-- +goose Down
DROP FUNCTION IF EXISTS monitoring.check_contact, monitoring.contact_problem, monitoring.check_membership, monitoring.check_time_restrictions, monitoring.is_clock_time,
    monitoring.channel_reach, monitoring.set_group_members, monitoring.contacts_of_groups, monitoring.contact_addresses, monitoring.group_members, monitoring.unknown_groups CASCADE;
ALTER TABLE monitoring.notification_config_s DROP COLUMN confirmation_timeout_minutes CASCADE;
DROP TABLE monitoring.recipient_group_contact_eff_s, monitoring.recipient_group_contact_l, monitoring.recipient_group_h,
    monitoring.contact_s, monitoring.contact_h CASCADE;
