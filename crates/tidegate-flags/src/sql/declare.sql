INSERT INTO tidegate.flag_set (name, columns, declared, row_name, row_values, lock_first, epoch)
VALUES ($1, $2, $3, $4, $5, $6, 1)
ON CONFLICT (name) DO NOTHING
