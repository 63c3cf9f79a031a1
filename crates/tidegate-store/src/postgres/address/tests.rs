//! What an address is made of, without a server.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Address, AddressError, TargetSession, TlsMode, TlsRoots};

fn resolve_with(url: &str, variables: &[(&str, &str)]) -> Result<Address, AddressError> {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Address::resolve(Some(url), &|name| variables.get(name).cloned())
}

fn resolve(url: &str) -> Address {
    resolve_with(url, &[("USER", "somebody")]).unwrap()
}

#[test]
fn variables_fill_in_what_the_text_leaves_out_and_nothing_else() {
    let variables = [
        ("PGHOST", "from.env"),
        ("PGPORT", "7000"),
        ("PGUSER", "env_user"),
        ("PGPASSWORD", "env_password"),
        ("PGDATABASE", "env_database"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "9"),
        ("PGAPPNAME", "env_app"),
        ("PGOPTIONS", "-c geqo=off"),
        ("PGTARGETSESSIONATTRS", "primary"),
    ];
    let address = resolve_with("", &variables).unwrap();
    assert_eq!(address.redacted(), "postgresql://env_user@from.env:7000/env_database");
    assert_eq!(address.secrets(), ["env_password"]);
    assert_eq!(address.tls_mode, TlsMode::Require);
    assert_eq!(address.connect_timeout, Some(Duration::from_secs(9)));
    assert_eq!(address.application_name.as_deref(), Some("env_app"));
    assert_eq!(address.options.as_deref(), Some("-c geqo=off"));
    assert_eq!(address.target_session, TargetSession::Primary);

    let url = "postgresql://u:p@h:1/d?sslmode=disable&connect_timeout=3&application_name=a&options=-c%20x%3Dy\
               &target_session_attrs=any";
    let address = resolve_with(url, &variables).unwrap();
    assert_eq!(address.redacted(), "postgresql://u@h:1/d");
    assert_eq!(address.secrets(), ["p"]);
    assert_eq!(address.tls_mode, TlsMode::Disable);
    assert_eq!(address.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(address.application_name.as_deref(), Some("a"));
    assert_eq!(address.options.as_deref(), Some("-c x=y"));
    assert_eq!(address.target_session, TargetSession::Any);
}

#[test]
fn the_user_stands_in_for_the_database_and_somebody_must_be_named() {
    assert_eq!(resolve("host=h").database(), "somebody");
    assert_eq!(resolve("host=h user=u").database(), "u");
    assert!(matches!(resolve_with("host=h", &[]), Err(AddressError::NoUser)));
}

#[test]
fn several_hosts_share_one_port_or_have_one_each() {
    let places = |url| resolve(url).hosts.iter().map(super::Host::place).collect::<Vec<_>>();
    assert_eq!(places("host=a,b port=7"), ["a:7", "b:7"]);
    assert_eq!(places("postgresql://a:1,b/d"), ["a:1", "b:5432"]);
    assert_eq!(places("host=/run/x,b port=1,2"), ["/run/x/.s.PGSQL.1", "b:2"]);
    let mismatch = resolve_with("host=a,b,c port=1,2 user=u", &[]);
    assert!(matches!(mismatch, Err(AddressError::CountMismatch { hosts: 3, others: 2, .. })));
    let many = vec!["h"; 17].join(",");
    assert!(resolve_with(&format!("host={many} user=u"), &[]).is_err());
}

#[test]
fn values_that_mean_nothing_are_refused_by_name() {
    for (url, named) in [
        ("sslmode=allow", "sslmode"),
        ("port=70000", "port"),
        ("port=0", "port"),
        ("connect_timeout=soon", "connect_timeout"),
        ("target_session_attrs=fast", "target_session_attrs"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("hostaddr=nowhere", "hostaddr"),
        ("service=prod", "service"),
        ("sslcert=/x", "sslcert"),
    ] {
        let error = resolve_with(&format!("user=u password=hunter2 {url}"), &[]).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let error = resolve_with("user=u", &[("PGSERVICE", "prod")]).unwrap_err();
    assert!(error.to_string().contains("PGSERVICE"));
}

#[test]
fn a_connect_timeout_of_zero_is_none() {
    assert_eq!(resolve("connect_timeout=0").connect_timeout, None);
    assert_eq!(resolve("").connect_timeout, Some(super::CONNECT_TIMEOUT_DEFAULT));
}

#[test]
fn verification_needs_roots_and_system_roots_need_verification() {
    let refused = resolve_with("user=u sslmode=verify-full", &[]);
    assert!(matches!(refused, Err(AddressError::NoRootCertificates { mode: "verify-full" })));
    assert!(resolve_with("user=u sslmode=require sslrootcert=system", &[]).is_err());
    let address = resolve("sslrootcert=system");
    assert_eq!((address.tls_mode, address.tls_roots), (TlsMode::VerifyFull, Some(TlsRoots::System)));
    let address = resolve("sslmode=verify-ca sslrootcert=/roots.pem");
    assert_eq!(address.tls_roots, Some(TlsRoots::File(PathBuf::from("/roots.pem"))));
}

#[test]
fn nothing_printed_shows_the_password() {
    let address = resolve("postgresql://u:hunter2@h/d");
    for text in [
        address.redacted(),
        format!("{address}"),
        format!("{address:?}"),
        format!("{:?}", address.libpq_environment()),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.is_empty());
    }
    assert_eq!(address.passfile_line().as_deref(), Some("h:5432:*:u:hunter2"));
}

#[test]
fn a_redacted_address_reads_back_as_the_same_place() {
    for url in ["postgresql://a%40b@%2Frun%2Fpg:7/my%20d%2Fb", "postgresql://u@[::1]:7,b:8/d"] {
        let address = resolve(url);
        assert_eq!(resolve(&address.redacted()), address);
    }
}

#[test]
fn a_passfile_line_is_escaped_and_matches_any_database() {
    let address = resolve(r"host=a,/run/pg port=1,2 user='u:v' password='p:\\q'");
    assert_eq!(address.passfile_line().as_deref(), Some("a:1:*:u\\:v:p\\:\\\\q\n*:2:*:u\\:v:p\\:\\\\q"));
    assert_eq!(resolve("host=a").passfile_line(), None);
}

#[test]
fn child_programs_get_the_place_by_variables() {
    let url = "postgresql://u:p@a:1,b:2/d?sslmode=require&options=-c%20geqo%3Doff&connect_timeout=4";
    let variables: HashMap<String, String> = resolve(url).libpq_environment().into_iter().collect();
    let get = |name: &str| variables.get(name).map(String::as_str);
    assert_eq!(get("PGHOST"), Some("a,b"));
    assert_eq!(get("PGPORT"), Some("1,2"));
    assert_eq!(get("PGUSER"), Some("u"));
    assert_eq!(get("PGDATABASE"), Some("d"));
    assert_eq!(get("PGSSLMODE"), Some("require"));
    assert_eq!(get("PGOPTIONS"), Some("-c geqo=off"));
    assert_eq!(get("PGCONNECT_TIMEOUT"), Some("4"));
    assert_eq!(get("PGPASSWORD"), None);
}

#[test]
fn another_login_takes_its_password_along() {
    let pooled = resolve("postgresql://app:one@pool:6432/d");
    let other = resolve("postgresql://dump:two@direct/d");
    let both = pooled.with_credentials_of(&other);
    assert_eq!(both.redacted(), "postgresql://dump@pool:6432/d");
    assert_eq!(both.secrets(), ["two"]);
    assert_eq!(pooled.with_database("x").redacted(), "postgresql://app@pool:6432/x");
}
