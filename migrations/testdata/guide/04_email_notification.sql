-- Configure email notification channel
INSERT INTO monitoring.notification_config_h (
    notification_config_hk, notification_config_bk, tenant_hk, 
    load_date, record_source
) VALUES (
    util.hash_binary('EMAIL_NOTIFICATIONS_PRIMARY'),
    'EMAIL_NOTIFICATIONS_PRIMARY',
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
    util.hash_binary('EMAIL_NOTIFICATIONS_PRIMARY'),
    util.current_load_date(),
    util.hash_binary('EMAIL_PRIMARY_CONFIG'),
    'Primary Email Alerts',
    'EMAIL',
    jsonb_build_object(
        'smtp_server', 'smtp.company.com',
        'smtp_port', 587,
        'smtp_username', 'alerts@onevault.com',
        'smtp_password_env', 'SMTP_PASSWORD',
        'from_address', 'OneVault Alerts <alerts@onevault.com>',
        'to_addresses', '["ops@onevault.com", "admin@onevault.com"]'
    ),
    ARRAY['ONCALL', 'ADMINS'],
    ARRAY['HIGH', 'CRITICAL'],
    ARRAY['PERFORMANCE', 'SECURITY', 'BACKUP', 'CAPACITY'],
    true,
    50,
    'ADMIN_SETUP'
);
