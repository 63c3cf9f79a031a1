-- The way back from 0005. What was written to the second schema alone goes with it.
DROP TABLE audit_events;
DROP TABLE pixbook_snapshots;
DROP TABLE pixbooks;
DROP TABLE identities;
DROP TABLE account_members;
DROP TABLE accounts;
