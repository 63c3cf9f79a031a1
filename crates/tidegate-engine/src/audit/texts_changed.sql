-- Digests under which something else is kept than they say.
SELECT digest FROM tidegate.plan WHERE digest <> sha256(convert_to(sources, 'UTF8'))
UNION ALL
SELECT digest FROM tidegate.evidence WHERE digest <> sha256(convert_to(body, 'UTF8'))
