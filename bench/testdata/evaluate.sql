SELECT * FROM monitoring.evaluate_alert_conditions();
