-- +goose Up
-- The sliding hour of rate_limit_per_hour: which messages were begun to whom. What is over the limit stands in the ledger
-- as DIGESTED until one message tells of it all.
CREATE TABLE monitoring.notification_window (
    channel_key varchar(255) NOT NULL,
    recipient   text NOT NULL,
    message_key text NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (channel_key, recipient, message_key)
);
CREATE INDEX notification_window_begun ON monitoring.notification_window (channel_key, recipient, begun_at DESC);
COMMENT ON TABLE monitoring.notification_window IS 'The messages that count against rate_limit_per_hour: one row for each, however many attempts it takes and alerts it tells of. Retention deletes them after a day.';
COMMENT ON COLUMN monitoring.notification_window.channel_key IS 'Key of the channel.';
COMMENT ON COLUMN monitoring.notification_window.recipient IS 'As in notification_log_s.recipient_address.';
COMMENT ON COLUMN monitoring.notification_window.message_key IS 'As in notification_log_s.delivery_key.';
COMMENT ON COLUMN monitoring.notification_window.begun_at IS 'When its first attempt began.';
INSERT INTO monitoring.queue_table (table_name, done_column, keep) VALUES ('notification_window', 'begun_at', '1 day');

ALTER TABLE monitoring.notification_log_s
    DROP CONSTRAINT notification_log_s_status,
    ADD CONSTRAINT notification_log_s_status CHECK (delivery_status IN ('PENDING', 'DIGESTED', 'SENT', 'DELIVERED', 'FAILED', 'BOUNCED', 'SUPPRESSED'));
COMMENT ON COLUMN monitoring.notification_log_s.delivery_status IS 'PENDING (begun, or to be repeated), DIGESTED (over the limit of its channel: a digest will tell of it), SENT (the provider took it, and its receipt is awaited), DELIVERED, FAILED, BOUNCED, SUPPRESSED (not sent, or withdrawn).';

-- +goose Down
COMMENT ON COLUMN monitoring.notification_log_s.delivery_status IS 'PENDING (begun, or to be repeated), SENT (the provider took it, and its receipt is awaited), DELIVERED, FAILED, BOUNCED, SUPPRESSED (not sent, or withdrawn).';
DROP FUNCTION IF EXISTS monitoring.take_turn, monitoring.begin_within_limit, monitoring.begin_digest, monitoring.digest_room, monitoring.only_digested CASCADE;
DELETE FROM monitoring.queue_table WHERE table_name = 'notification_window';
DROP TABLE monitoring.notification_window;
-- What only the later version could say becomes the nearest that the earlier one can.
ALTER TABLE monitoring.notification_log_s DISABLE TRIGGER USER;
UPDATE monitoring.notification_log_s SET delivery_status = 'SUPPRESSED' WHERE delivery_status = 'DIGESTED';
ALTER TABLE monitoring.notification_log_s ENABLE TRIGGER USER;
ALTER TABLE monitoring.notification_log_s
    DROP CONSTRAINT notification_log_s_status,
    ADD CONSTRAINT notification_log_s_status CHECK (delivery_status IN ('PENDING', 'SENT', 'DELIVERED', 'FAILED', 'BOUNCED', 'SUPPRESSED'));
