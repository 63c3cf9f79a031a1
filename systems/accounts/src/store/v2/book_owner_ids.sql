SELECT DISTINCT identity_id FROM pixbooks WHERE id = ANY ($1) ORDER BY identity_id
