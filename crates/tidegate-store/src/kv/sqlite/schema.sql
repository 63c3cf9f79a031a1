-- One row for each key. Keys compare by their bytes (SQLite's BINARY collation).
CREATE TABLE kv_entry (
    namespace  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    metadata   TEXT,             -- JSON; NULL: none
    expires_at INTEGER,          -- Unix seconds, the first second without it; NULL: it stays
    version    INTEGER NOT NULL, -- of the last write; never given twice in this file
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID, STRICT;

CREATE INDEX kv_entry_expires ON kv_entry (expires_at) WHERE expires_at IS NOT NULL;

-- One row: the last version that was given.
CREATE TABLE kv_version (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO kv_version (one, last) VALUES (1, 0);
