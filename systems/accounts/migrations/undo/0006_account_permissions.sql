-- The way back from 0006. Grants that were made in the second schema alone go with it.
DROP TABLE account_permissions;
