-- How many of the acknowledged writes ($1: names of communities, $2: handles of members) are not there exactly once.
SELECT (SELECT count(*) FROM unnest($1::text[]) AS wanted (name)
        WHERE (SELECT count(*) FROM public.communities AS c WHERE c.name = wanted.name) <> 1),
       (SELECT count(*) FROM unnest($2::text[]) AS wanted (handle)
        WHERE (SELECT count(*) FROM public.profiles AS p WHERE p.handle = wanted.handle) <> 1)
