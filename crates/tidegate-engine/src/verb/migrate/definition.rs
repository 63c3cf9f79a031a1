//! Whether an index that stands is the one that a statement makes: by definition, never by name.

/// Whether PostgreSQL's text of an index says the same as the statement that would make it.
///
/// Both are compared without case, quotes and spaces where those mean nothing. What PostgreSQL writes in another way,
/// such as an expression, is not the same: whoever asks must then refuse, which is harmless.
#[must_use]
pub(super) fn is_same(stands: &str, statement: &str) -> bool {
    match (Definition::read(stands), Definition::read(statement)) {
        (Some(stands), Some(wanted)) => {
            let schemas = wanted.schema.is_none() || wanted.schema == stands.schema;
            schemas
                && wanted.unique == stands.unique
                && wanted.name == stands.name
                && wanted.table == stands.table
                && wanted.rest == stands.rest
        }
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Definition {
    unique: bool,
    name: String,
    schema: Option<String>,
    table: String,
    rest: Vec<String>,
}

impl Definition {
    fn read(text: &str) -> Option<Self> {
        let words = words(text)?;
        let mut words = words.iter().map(String::as_str).peekable();
        let mut take = |wanted: &str| words.next_if_eq(&wanted).is_some();
        if !take("create") {
            return None;
        }
        let unique = take("unique");
        if !take("index") {
            return None;
        }
        take("concurrently");
        if take("if") && !(take("not") && take("exists")) {
            return None;
        }
        let name = words.next()?.to_owned();
        words.next_if_eq(&"on")?;
        words.next_if_eq(&"only");
        let mut table = words.next()?.to_owned();
        let mut schema = None;
        if words.next_if_eq(&".").is_some() {
            schema = Some(table);
            table = words.next()?.to_owned();
        }
        let method = match words.next_if_eq(&"using") {
            Some(_) => words.next()?,
            None => "btree",
        };
        let rest = std::iter::once(method).chain(words).map(str::to_owned).collect();
        Some(Self { unique, name, schema, table, rest })
    }
}

/// Words, signs and quoted texts; `None` if a comment or a quote makes that uncertain.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut characters = text.trim().trim_end_matches(';').chars().peekable();
    while let Some(first) = characters.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::from(first);
        if first == '"' || first == '\'' {
            loop {
                let next = characters.next()?;
                word.push(next);
                if next == first {
                    match characters.next_if_eq(&first) {
                        Some(doubled) => word.push(doubled),
                        None => break,
                    }
                }
            }
            let inner = word.trim_matches('"');
            let plain = inner.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && inner.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            words.push(if first == '"' && plain { inner.to_owned() } else { word });
        } else if first.is_alphanumeric() || first == '_' {
            while let Some(next) = characters.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                word.push(next);
            }
            words.push(word.to_lowercase());
        } else {
            let comment = matches!((first, characters.peek()), ('-', Some('-')) | ('/', Some('*')));
            if comment || first == '$' || first == '\\' {
                return None;
            }
            words.push(word);
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn the_same_definition_is_known_in_other_words() {
        let stands = "CREATE INDEX i ON public.t USING btree (a, b DESC)";
        assert!(is_same(stands, "create index concurrently if not exists \"i\" on t(a,b desc);"));
        assert!(is_same(stands, "CREATE INDEX CONCURRENTLY i ON public.t USING btree (a, b DESC)"));
    }

    #[test]
    fn another_definition_is_another() {
        let stands = "CREATE INDEX i ON public.t USING btree (a)";
        for other in [
            "CREATE INDEX CONCURRENTLY i ON t (b)",
            "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
            "CREATE INDEX CONCURRENTLY i ON u (a)",
            "CREATE INDEX CONCURRENTLY i ON other.t (a)",
            "CREATE INDEX CONCURRENTLY i ON t USING hash (a)",
            "CREATE INDEX CONCURRENTLY i ON t (a) WHERE a > 1",
            "CREATE INDEX CONCURRENTLY i ON t (\"A\")",
            "CREATE INDEX CONCURRENTLY i ON t (a /* b */)",
            "CREATE INDEX CONCURRENTLY i ON t (a",
        ] {
            assert!(!is_same(stands, other), "{other}");
        }
    }
}
