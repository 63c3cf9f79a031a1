SELECT coalesce(array_agg(substr(request_key, length('debit:') + 1) ORDER BY request_key), '{}')
FROM public.ledger_requests WHERE starts_with(request_key, 'debit:')
