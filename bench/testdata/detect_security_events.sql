SELECT * FROM monitoring.detect_security_events();
