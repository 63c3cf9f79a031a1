SELECT current_setting('log_parameter_max_length') <> '0'
       AND (current_setting('log_statement') = 'all'
            OR current_setting('log_min_duration_statement') = '0'
            OR current_setting('log_min_duration_sample') = '0') AS would_log,
       pg_catalog.has_parameter_privilege('log_parameter_max_length', 'SET') AS may_hush,
       pg_catalog.has_parameter_privilege('log_min_messages', 'SET') AS may_hush_errors,
       current_user::text AS role
