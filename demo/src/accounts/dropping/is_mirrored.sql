SELECT EXISTS (SELECT FROM tidegate.flag_set WHERE name = 'accounts' AND row_name = 'mirrored')
