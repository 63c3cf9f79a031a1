-- Rows of one side, counted and hashed into buckets by key.
SELECT {bucket} AS b, count(*), sum({row_hash}) FROM {side} GROUP BY 1
