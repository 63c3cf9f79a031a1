//! What is known of PostgreSQL's own functions by name.

/// Functions whose effect no rollback takes back, or that reach outside the transaction, by name.
const BEYOND_ROLLBACK: &[&str] = &[
    "http",
    "http_delete",
    "http_get",
    "http_head",
    "http_patch",
    "http_post",
    "http_put",
    "lo_export",
    "lo_import",
    "nextval",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_backup_start",
    "pg_backup_stop",
    "pg_cancel_backend",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_create_restore_point",
    "pg_drop_replication_slot",
    "pg_file_rename",
    "pg_file_sync",
    "pg_file_unlink",
    "pg_file_write",
    "pg_log_backend_memory_contexts",
    "pg_logical_emit_message",
    "pg_logical_slot_get_binary_changes",
    "pg_logical_slot_get_changes",
    "pg_prewarm",
    "pg_promote",
    "pg_reload_conf",
    "pg_replication_origin_advance",
    "pg_replication_origin_create",
    "pg_replication_origin_drop",
    "pg_replication_origin_session_setup",
    "pg_replication_slot_advance",
    "pg_rotate_logfile",
    "pg_start_backup",
    "pg_stop_backup",
    "pg_switch_wal",
    "pg_terminate_backend",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_wal_replay_pause",
    "pg_wal_replay_resume",
    "setval",
];

/// Families of such functions, by the start of the name.
const BEYOND_ROLLBACK_PREFIXES: &[&str] = &["dblink", "pg_stat_reset", "pg_stat_statements_reset"];

/// Functions that leave state in the session, by name.
const SESSION_STATE: &[(&str, &str)] = &[
    ("dblink_connect", "dblink_connect"),
    ("dblink_connect_u", "dblink_connect_u"),
    ("pg_advisory_lock", "pg_advisory_lock"),
    ("pg_advisory_lock_shared", "pg_advisory_lock_shared"),
    ("pg_replication_origin_session_setup", "pg_replication_origin_session_setup"),
    ("pg_try_advisory_lock", "pg_try_advisory_lock"),
    ("pg_try_advisory_lock_shared", "pg_try_advisory_lock_shared"),
    ("setseed", "setseed"),
];

/// Beginnings of names that PostgreSQL keeps for its own functions, or that no application would take.
const OWN_PREFIXES: &[&str] = &[
    "array_", "current_", "enum_", "has_", "inet_", "json_", "jsonb_", "lo_", "pg_", "range_", "regexp_",
    "row_", "string_", "to_", "ts_", "txid_", "xml", "xpath",
];

/// PostgreSQL's own functions that runbooks are likely to call, beside those of [`OWN_PREFIXES`].
const OWN: &[&str] = &[
    "abs",
    "age",
    "any_value",
    "ascii",
    "avg",
    "bit_and",
    "bit_length",
    "bit_or",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "clock_timestamp",
    "coalesce",
    "col_description",
    "concat",
    "concat_ws",
    "convert_from",
    "convert_to",
    "corr",
    "count",
    "cume_dist",
    "currval",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "dense_rank",
    "digest",
    "div",
    "encode",
    "every",
    "exp",
    "extract",
    "first_value",
    "floor",
    "format",
    "format_type",
    "gen_random_uuid",
    "generate_series",
    "generate_subscripts",
    "greatest",
    "grouping",
    "hashtext",
    "hashtextextended",
    "hash_record",
    "hash_record_extended",
    "initcap",
    "isfinite",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "lag",
    "last_value",
    "lastval",
    "lead",
    "least",
    "left",
    "length",
    "ln",
    "localtime",
    "localtimestamp",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "max",
    "md5",
    "min",
    "mod",
    "mode",
    "nextval",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "obj_description",
    "octet_length",
    "overlay",
    "parse_ident",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "position",
    "power",
    "query_to_xml",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "random",
    "rank",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "session_user",
    "set_config",
    "setseed",
    "setval",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "statement_timestamp",
    "stddev",
    "strpos",
    "substr",
    "substring",
    "sum",
    "table_to_xml",
    "timeofday",
    "timezone",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "unnest",
    "upper",
    "variance",
    "version",
    "width_bucket",
];

/// Whether a call of `name` has an effect that the end of the transaction does not take back.
///
/// `schema` is what the call names: a function of that name in an application's own schema is not meant.
pub(super) fn is_beyond_rollback(schema: Option<&str>, name: &str) -> bool {
    let prefixed = BEYOND_ROLLBACK_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let own_place = schema.is_none_or(|schema| matches!(schema, "pg_catalog" | "public"));
    prefixed || (own_place && BEYOND_ROLLBACK.binary_search(&name).is_ok())
}

/// The session state that a call of `name` leaves, if any. `set_config` is judged by its third argument elsewhere.
pub(super) fn session_state(name: &str) -> Option<&'static str> {
    SESSION_STATE.iter().find(|(function, _)| *function == name).map(|(_, state)| *state)
}

/// Whether `name`, as a call names it, is one of PostgreSQL's own functions.
///
/// Unqualified names outside the lists count as the application's: the answer errs towards "not our own".
pub(super) fn is_own(schema: Option<&str>, name: &str) -> bool {
    match schema {
        Some(schema) => matches!(schema, "pg_catalog" | "information_schema"),
        None => OWN.contains(&name) || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_searched_by_halves_are_sorted() {
        assert!(BEYOND_ROLLBACK.is_sorted());
    }

    #[test]
    fn a_function_of_an_application_is_not_taken_for_postgresqls() {
        assert!(is_beyond_rollback(None, "nextval"));
        assert!(is_beyond_rollback(Some("pg_catalog"), "pg_reload_conf"));
        assert!(!is_beyond_rollback(Some("app"), "nextval"));
        assert!(is_beyond_rollback(Some("ext"), "dblink_exec"));
        assert!(!is_beyond_rollback(None, "currval"));
        assert!(is_own(None, "jsonb_build_object"));
        assert!(is_own(Some("pg_catalog"), "anything"));
        assert!(!is_own(Some("app"), "count"));
        assert!(!is_own(None, "update_lot_status"));
    }
}
