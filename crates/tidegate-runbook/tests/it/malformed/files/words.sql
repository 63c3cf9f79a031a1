-- @param a is no word of ours
-- @version 1
CREATE TABLE a (id bigint);
-- @check b
-- @expect zero
SELECT 0; -- @undo
