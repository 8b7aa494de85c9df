-- +goose Up
-- What a result says of its control, so that an auditor reads it without the program that ran it.
ALTER TABLE monitoring.compliance_check_s
    ADD COLUMN control_id       varchar(50),
    ADD COLUMN control_severity varchar(20) CONSTRAINT compliance_check_s_severity CHECK (control_severity IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    ADD COLUMN clauses          jsonb,
    ADD COLUMN remediation      text,
    ADD COLUMN status_since     timestamptz;

-- +goose Down
DROP VIEW IF EXISTS monitoring.compliance_dashboard;
ALTER TABLE monitoring.compliance_check_s
    DROP COLUMN control_id,
    DROP COLUMN control_severity,
    DROP COLUMN clauses,
    DROP COLUMN remediation,
    DROP COLUMN status_since;
