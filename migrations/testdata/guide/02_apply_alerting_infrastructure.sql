SELECT COUNT(*) FROM monitoring.alert_definition_s WHERE record_source = 'SETUP_SCRIPT';
