SELECT * FROM monitoring.incident_summary_dashboard;
