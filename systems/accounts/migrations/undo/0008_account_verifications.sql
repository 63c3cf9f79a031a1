-- The way back from 0008. The results go with it.
DROP TABLE account_verifications;
