SELECT CASE $2
    WHEN 'user' THEN EXISTS (
        SELECT FROM user_organizations mine JOIN user_organizations theirs USING (organization_id)
        WHERE mine.user_id = $1 AND theirs.user_id = $3)
    WHEN 'group' THEN EXISTS (
        SELECT FROM groups g JOIN user_organizations mine USING (organization_id)
        WHERE mine.user_id = $1 AND g.id = $3)
    WHEN 'organization' THEN EXISTS (
        SELECT FROM user_organizations mine WHERE mine.user_id = $1 AND mine.organization_id = $3)
    ELSE false
END
