-- A store of keys in one file, as tidegate and an application that embeds its library share it.
PRAGMA journal_mode = WAL;
PRAGMA user_version = 1;

CREATE TABLE kv_entry (
    namespace  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    metadata   TEXT,
    expires_at INTEGER,
    version    INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX kv_entry_expires ON kv_entry (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE kv_version (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL) STRICT;

INSERT INTO kv_entry (namespace, key, value, version) VALUES
    ('logs', 'trip:Ann:1', CAST('{"userId":"Ann","miles":12}' AS BLOB), 1),
    ('logs', 'trip:Ann:2', CAST('{"userId":"Cleo","miles":7}' AS BLOB), 2),
    ('logs', 'trip:Bea:1', CAST('{"userId":"Bea","miles":3}' AS BLOB), 3),
    ('logs', 'trip:Bea:2', CAST('{"userId":"Bea","miles":30}' AS BLOB), 4),
    ('users', 'user:Bea', CAST('{"plan":"free","trips":2}' AS BLOB), 5);
INSERT INTO kv_version (one, last) VALUES (1, 5);
