SELECT * FROM monitoring.system_dashboard;
