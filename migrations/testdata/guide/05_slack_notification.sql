-- Configure Slack notification channel
INSERT INTO monitoring.notification_config_h (
    notification_config_hk, notification_config_bk, tenant_hk, 
    load_date, record_source
) VALUES (
    util.hash_binary('SLACK_NOTIFICATIONS_OPS'),
    'SLACK_NOTIFICATIONS_OPS',
    NULL,
    util.current_load_date(),
    'ADMIN_SETUP'
);

INSERT INTO monitoring.notification_config_s (
    notification_config_hk, load_date, hash_diff,
    channel_name, channel_type, configuration,
    recipient_groups, severity_filter, category_filter,
    is_enabled, rate_limit_per_hour, record_source
) VALUES (
    util.hash_binary('SLACK_NOTIFICATIONS_OPS'),
    util.current_load_date(),
    util.hash_binary('SLACK_OPS_CONFIG'),
    'Operations Slack Channel',
    'SLACK',
    jsonb_build_object(
        'webhook_url', 'https://hooks.slack.com/services/YOUR/SLACK/WEBHOOK',
        'channel', '#ops-alerts',
        'username', 'OneVault Monitor',
        'icon_emoji', ':warning:'
    ),
    ARRAY['ONCALL', 'OPS_TEAM'],
    ARRAY['MEDIUM', 'HIGH', 'CRITICAL'],
    ARRAY['PERFORMANCE', 'SECURITY', 'BACKUP', 'CAPACITY', 'COMPLIANCE'],
    true,
    100,
    'ADMIN_SETUP'
);
