SELECT * FROM monitoring.active_alerts_dashboard;
