//! The two spellings of a connection string: a URL, and `keyword=value` pairs.
//!
//! Both give the same thing: keywords with their values, in the order written. What they mean is decided in
//! [`super::address`]. Messages never repeat the text, because it may hold a password.

use super::address::AddressError;

/// Parses either spelling. An empty text names no keyword at all.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, AddressError> {
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    match rest {
        Some(rest) => parse_url(rest),
        None if text.contains("://") => Err(syntax("the scheme is not postgres:// or postgresql://")),
        None => parse_pairs(text),
    }
}

fn syntax(what: &str) -> AddressError {
    AddressError::Syntax { what: what.to_owned() }
}

fn parse_url(rest: &str) -> Result<Vec<(String, String)>, AddressError> {
    let mut found = Vec::new();
    let (before_query, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match before_query.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (before_query, None),
    };
    let hosts = match authority.split_once('@') {
        Some((credentials, hosts)) => {
            if hosts.contains('@') {
                return Err(syntax(
                    "there is more than one '@' before the host; write an '@' in a user or password as %40",
                ));
            }
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            if !user.is_empty() {
                found.push(("user".to_owned(), percent_decode(user)?));
            }
            if let Some(password) = password {
                found.push(("password".to_owned(), percent_decode(password)?));
            }
            hosts
        }
        None => authority,
    };
    if !hosts.is_empty() {
        let mut names = Vec::new();
        let mut ports = Vec::new();
        for each in hosts.split(',') {
            let (name, port) = split_host(each)?;
            names.push(percent_decode(name)?);
            ports.push(port.to_owned());
        }
        found.push(("host".to_owned(), names.join(",")));
        if ports.iter().any(|port| !port.is_empty()) {
            found.push(("port".to_owned(), ports.join(",")));
        }
    }
    if let Some(database) = database.filter(|database| !database.is_empty()) {
        found.push(("dbname".to_owned(), percent_decode(database)?));
    }
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        if pair.is_empty() {
            continue;
        }
        let (key, value) = pair.split_once('=').ok_or_else(|| syntax("a parameter after '?' has no '='"))?;
        let (key, value) = (percent_decode(key)?, percent_decode(value)?);
        // libpq reads the spelling of JDBC as well.
        if key == "ssl" && value == "true" {
            found.push(("sslmode".to_owned(), "require".to_owned()));
        } else {
            found.push((key, value));
        }
    }
    Ok(found)
}

fn split_host(text: &str) -> Result<(&str, &str), AddressError> {
    if let Some(inside) = text.strip_prefix('[') {
        let (name, after) =
            inside.split_once(']').ok_or_else(|| syntax("an IPv6 address lacks its closing ']'"))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((name, port)),
            None if after.is_empty() => Ok((name, "")),
            None => Err(syntax("something other than ':port' follows an IPv6 address")),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn percent_decode(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let value = digit(rest.next())
            .zip(digit(rest.next()))
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
            .filter(|value| *value != 0)
            .ok_or_else(|| {
                syntax(
                    "a '%' is not followed by two hexadecimal digits (or is %00); write a plain '%' as %25",
                )
            })?;
        bytes.push(value);
    }
    String::from_utf8(bytes).map_err(|_| syntax("a percent-encoded part is not UTF-8"))
}

fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, AddressError> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(found);
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| !c.is_whitespace() && *c != '=') {
            key.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next_if_eq(&'=').is_none() || key.is_empty() {
            return Err(syntax("it is neither a postgres:// URL nor a list of keyword=value pairs"));
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.peek() {
                None if quoted => return Err(syntax("a quoted value lacks its closing quote")),
                None => break,
                Some('\'') if quoted => {
                    rest.next();
                    break;
                }
                Some(c) if !quoted && c.is_whitespace() => break,
                Some('\\') => {
                    rest.next();
                    match rest.next() {
                        Some(escaped) => value.push(escaped),
                        None => return Err(syntax("the text ends with a backslash")),
                    }
                }
                Some(&c) => {
                    rest.next();
                    value.push(c);
                }
            }
        }
        found.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    fn named(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_url_gives_its_parts_decoded() {
        assert_eq!(
            pairs(
                "postgresql://al%40ice:p%3Aw%2F@[::1]:6000,db.example/my%20db?sslmode=require&connect_timeout=7"
            ),
            named(&[
                ("user", "al@ice"),
                ("password", "p:w/"),
                ("host", "::1,db.example"),
                ("port", "6000,"),
                ("dbname", "my db"),
                ("sslmode", "require"),
                ("connect_timeout", "7"),
            ])
        );
    }

    #[test]
    fn a_url_may_name_a_socket_directory_in_both_places() {
        let expected = named(&[("host", "/run/pg"), ("dbname", "d")]);
        assert_eq!(pairs("postgres://%2Frun%2Fpg/d"), expected);
        let mut found = pairs("postgres:///d?host=/run/pg");
        found.sort();
        let mut sorted = expected;
        sorted.sort();
        assert_eq!(found, sorted);
    }

    #[test]
    fn pairs_honour_quotes_and_escapes() {
        assert_eq!(
            pairs(r"host = h  user='a b' password='it\'s \\' dbname=x\ y"),
            named(&[("host", "h"), ("user", "a b"), ("password", r"it's \"), ("dbname", "x y"),])
        );
        assert_eq!(pairs("  "), named(&[]));
    }

    #[test]
    fn broken_texts_are_refused_without_repeating_them() {
        for text in [
            "mysql://u:hunter2@h",
            "postgres://u:hunter2@x@h/d",
            "postgres://u:hunter2%zz@h/d",
            "postgres://u:hunter2%00@h/d",
            "postgres://u:hunter2@[::1/d",
            "postgres://u:hunter2@h/d?nonsense",
            "password='hunter2",
            "hunter2",
            r"password=hunter2\",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}");
        }
    }
}
