-- The way back from 0007. What was counted goes with it.
DROP TABLE account_alias_uses;
