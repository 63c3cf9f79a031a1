CREATE TEMPORARY TABLE blob_listing (
  id          text PRIMARY KEY,
  size_bytes  bigint NOT NULL,
  modified_at timestamptz NOT NULL
)
