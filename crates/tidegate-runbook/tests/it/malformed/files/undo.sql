CREATE TABLE a (id bigint);
-- @undo
DROP TABLE a;
-- @undo
DROP TABLE a;
