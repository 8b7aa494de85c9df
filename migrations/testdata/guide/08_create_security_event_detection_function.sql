-- Function to detect and log security events
CREATE OR REPLACE FUNCTION monitoring.detect_security_events()
RETURNS TABLE (
    event_type VARCHAR(100),
    event_count INTEGER,
    severity VARCHAR(20)
) AS $$
DECLARE
    v_failed_logins INTEGER;
    v_suspicious_queries INTEGER;
    v_unauthorized_access INTEGER;
    v_security_event_hk BYTEA;
    v_security_event_bk VARCHAR(255);
BEGIN
    -- Detect failed login attempts (simulate with auth system integration)
    SELECT COUNT(*) INTO v_failed_logins
    FROM auth.user_auth_s 
    WHERE failed_login_attempts > 5
    AND last_failed_login > CURRENT_TIMESTAMP - INTERVAL '1 hour'
    AND load_end_date IS NULL;
    
    -- Detect slow/suspicious queries
    SELECT COUNT(*) INTO v_suspicious_queries
    FROM pg_stat_statements 
    WHERE mean_exec_time > 10000 -- Queries taking more than 10 seconds
    AND calls > 1;
    
    -- Log security events if thresholds exceeded
    IF v_failed_logins > 10 THEN
        v_security_event_bk := 'SEC_FAILED_LOGINS_' || to_char(CURRENT_TIMESTAMP, 'YYYYMMDD_HH24MISS');
        v_security_event_hk := util.hash_binary(v_security_event_bk);
        
        INSERT INTO monitoring.security_event_h VALUES (
            v_security_event_hk, v_security_event_bk, NULL,
            util.current_load_date(), 'SECURITY_DETECTOR'
        );
        
        INSERT INTO monitoring.security_event_s VALUES (
            v_security_event_hk, util.current_load_date(), NULL,
            util.hash_binary(v_security_event_bk || v_failed_logins::text),
            'EXCESSIVE_FAILED_LOGINS', 'HIGH', CURRENT_TIMESTAMP,
            NULL, NULL, NULL, current_database(), ARRAY[]::TEXT[],
            jsonb_build_object('failed_login_count', v_failed_logins, 'threshold', 10),
            'AUTOMATED_DETECTION', 50.0, 'OPEN', false, ARRAY[]::TEXT[], NULL,
            'SECURITY_DETECTOR'
        );
    END IF;
    
    -- Return detected events
    RETURN QUERY SELECT 'FAILED_LOGINS'::VARCHAR(100), v_failed_logins, 'HIGH'::VARCHAR(20)
    WHERE v_failed_logins > 0;
    
    RETURN QUERY SELECT 'SUSPICIOUS_QUERIES'::VARCHAR(100), v_suspicious_queries, 'MEDIUM'::VARCHAR(20)
    WHERE v_suspicious_queries > 0;
END;
$$ LANGUAGE plpgsql;
