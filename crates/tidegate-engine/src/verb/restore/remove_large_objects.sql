SELECT pg_catalog.count(pg_catalog.lo_unlink(m.oid)) FROM pg_catalog.pg_largeobject_metadata m
