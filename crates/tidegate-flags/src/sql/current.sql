SELECT columns, row_name, row_values, lock_first, epoch, installed_at, moved_at, moved_by
FROM tidegate.flag_set
WHERE name = $1
