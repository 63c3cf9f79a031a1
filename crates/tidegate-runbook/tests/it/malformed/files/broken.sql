CREATE TABEL a (id bigint);
