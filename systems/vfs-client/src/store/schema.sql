-- SQLite. What one client keeps on its disk. Format 1; `PRAGMA user_version` says so.

-- Single values.
CREATE TABLE meta (
  -- What it is: `generation`, `sum`, `objects-cursor`, `metrics`.
  name  TEXT PRIMARY KEY,
  -- The value, as text or JSON.
  value TEXT NOT NULL
) WITHOUT ROWID;

-- The exported state in rows, so that a page of a large tree is kept by writing what is on the page.
CREATE TABLE state (
  -- What part of the state the row is.
  kind  TEXT NOT NULL CHECK (kind IN ('head', 'acl', 'link', 'clock', 'pending', 'rejected')),
  -- Which one of them; in the order of the keys they stand in the export.
  key   TEXT NOT NULL,
  -- The entry of the export, as JSON.
  value TEXT NOT NULL,
  PRIMARY KEY (kind, key)
) WITHOUT ROWID;

-- What is to be asked of the server beside operations, in the order of their numbers.
CREATE TABLE tasks (
  -- The task's number.
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The task, as JSON.
  task TEXT NOT NULL,
  -- Why the server will not do it. NULL: it has not said so.
  refusal TEXT
);

-- What is known of items: names, types, owners.
CREATE TABLE items (
  -- The item's id.
  id   TEXT PRIMARY KEY,
  -- What is known of it, as JSON.
  item TEXT NOT NULL
) WITHOUT ROWID;
