-- SQLite. What the embedded store keeps. Format 1; `PRAGMA user_version` says so.

-- One row for each key that was written and not removed. Keys compare by their bytes (SQLite's BINARY collation).
CREATE TABLE kv_entry (
  -- The namespace.
  namespace  TEXT    NOT NULL,
  -- The key within it.
  key        TEXT    NOT NULL,
  -- The value's bytes.
  value      BLOB    NOT NULL,
  -- JSON. NULL: none.
  metadata   TEXT,
  -- Unix seconds: the first second without it. NULL: it stays.
  expires_at INTEGER,
  -- Of the last write; never given twice in this file.
  version    INTEGER NOT NULL,
  PRIMARY KEY (namespace, key)
) WITHOUT ROWID, STRICT;

CREATE INDEX kv_entry_expires ON kv_entry (expires_at) WHERE expires_at IS NOT NULL;

-- One row: where versions come from.
CREATE TABLE kv_version (
  -- Always 1: there is one row.
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  -- The last version that was given.
  last INTEGER NOT NULL
) STRICT;

INSERT INTO kv_version (one, last) VALUES (1, 0);
