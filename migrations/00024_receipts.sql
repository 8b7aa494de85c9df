-- +goose Up
-- What becomes of a message after the provider took it: a receipt is one more version of its notification.
ALTER TABLE monitoring.notification_log_s
    ADD COLUMN receipt_provider  varchar(20),
    ADD COLUMN receipt_status    varchar(12),
    ADD COLUMN receipt_timestamp timestamptz,
    ADD COLUMN receipt_details   jsonb,
    ADD CONSTRAINT notification_log_s_receipt CHECK (
        receipt_status IN ('SENT', 'DELAYED', 'DELIVERED', 'BOUNCED', 'FAILED')
        AND receipt_provider IS NOT NULL AND receipt_timestamp IS NOT NULL
        OR receipt_status IS NULL AND receipt_provider IS NULL AND receipt_timestamp IS NULL AND receipt_details IS NULL);
COMMENT ON COLUMN monitoring.notification_log_s.receipt_provider IS 'Who sent the newest receipt: EMAIL, TWILIO, PAGERDUTY, SLACK, WEBHOOK; NULL: none came.';
COMMENT ON COLUMN monitoring.notification_log_s.receipt_status IS 'What it says: SENT and DELAYED (on its way), DELIVERED, BOUNCED, FAILED.';
COMMENT ON COLUMN monitoring.notification_log_s.receipt_timestamp IS 'When that happened, as the receipt says.';
COMMENT ON COLUMN monitoring.notification_log_s.receipt_details IS 'The rest of it: reason, the provider''s own word, who recorded it.';
COMMENT ON COLUMN monitoring.notification_log_s.delivery_status IS 'PENDING (begun, or to be repeated), SENT (the provider took it, and its receipt is awaited), DELIVERED, FAILED, BOUNCED, SUPPRESSED (not sent, or withdrawn).';

-- A receipt names its message by the provider's id or by our key, in any version.
CREATE INDEX notification_log_s_external ON monitoring.notification_log_s (external_message_id varchar_pattern_ops) WHERE external_message_id IS NOT NULL;
CREATE INDEX notification_log_s_delivery_key ON monitoring.notification_log_s (delivery_key) WHERE delivery_key IS NOT NULL;

CREATE TABLE monitoring.receipt_waiting (
    provider       varchar(20) NOT NULL,
    reference      varchar(255) NOT NULL,
    receipt_status varchar(12) NOT NULL,
    happened_at    timestamptz NOT NULL,
    details        jsonb NOT NULL DEFAULT '{}',
    received_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (reference, provider, receipt_status, happened_at)
);
COMMENT ON TABLE monitoring.receipt_waiting IS 'Receipts that came before the vault knew of their notification. It takes them when it is written; retention deletes them after a week.';
COMMENT ON COLUMN monitoring.receipt_waiting.provider IS 'As in notification_log_s.receipt_provider.';
COMMENT ON COLUMN monitoring.receipt_waiting.reference IS 'The provider''s id of the message, or our delivery key.';
COMMENT ON COLUMN monitoring.receipt_waiting.receipt_status IS 'As in notification_log_s.';
COMMENT ON COLUMN monitoring.receipt_waiting.happened_at IS 'When it happened, as the receipt says.';
COMMENT ON COLUMN monitoring.receipt_waiting.details IS 'As in notification_log_s.receipt_details.';
COMMENT ON COLUMN monitoring.receipt_waiting.received_at IS 'When it came.';

INSERT INTO monitoring.queue_table (table_name, done_column, keep) VALUES ('receipt_waiting', 'received_at', '7 days');

-- +goose Down
DROP VIEW IF EXISTS monitoring.notification_delivery, monitoring.channel_delivery_rate CASCADE;
DROP FUNCTION IF EXISTS monitoring.receipt_channels, monitoring.delivery_certainty, monitoring.notifications_of_receipt, monitoring.apply_receipt,
    monitoring.record_receipt, monitoring.keep_receipt, monitoring.claim_receipts, monitoring.notification_id, monitoring.find_notification,
    monitoring.delivery_inputs, monitoring.delivery_rates, monitoring.check_bounce_address CASCADE;
DROP TABLE monitoring.receipt_waiting;
DELETE FROM monitoring.queue_table WHERE table_name = 'receipt_waiting';
DROP INDEX monitoring.notification_log_s_external, monitoring.notification_log_s_delivery_key;
COMMENT ON COLUMN monitoring.notification_log_s.delivery_status IS NULL;
ALTER TABLE monitoring.notification_log_s
    DROP COLUMN receipt_provider CASCADE, DROP COLUMN receipt_status CASCADE, DROP COLUMN receipt_timestamp CASCADE, DROP COLUMN receipt_details CASCADE;
