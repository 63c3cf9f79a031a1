//! Reaching a server, or learning why not.

use std::collections::HashMap;

use testkit::{Cluster, Proxy};
use tidegate_store::postgres::{Address, FailureKind, Session, identity};

use crate::door::{address, session, value};

async fn refusal(url: &str) -> tidegate_store::postgres::Failure {
    let failure = Session::connect(&address(url), "store-test").await.unwrap_err();
    assert!(failure.happened_while_connecting() && failure.is_unknown_verdict(), "{failure:?}");
    failure
}

#[tokio::test]
async fn variables_alone_lead_to_the_server() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("variables").await;
    let variables: HashMap<&str, String> = HashMap::from([
        ("PGHOST", cluster.socket_directory().display().to_string()),
        ("PGPORT", cluster.port().to_string()),
        ("PGUSER", "postgres".to_owned()),
        ("PGDATABASE", database.name().to_owned()),
        ("PGAPPNAME", "by variable".to_owned()),
        ("PGOPTIONS", "-c geqo=off".to_owned()),
        ("PGSSLMODE", "require".to_owned()),
    ]);
    let address = Address::resolve(None, &|name| variables.get(name).cloned()).unwrap();
    let session = Session::connect(&address, "").await.unwrap();
    let sql = "SELECT concat_ws('|', current_database(), current_setting('application_name'), \
               current_setting('geqo'), inet_server_addr() IS NULL)";
    let expected = format!("{}|by variable|off|t", database.name());
    assert_eq!(value(&session, sql).await, Some(expected));
}

#[tokio::test]
async fn the_application_name_is_cut_at_a_characters_edge() {
    let database = Cluster::shared().await.database("appname").await;
    let long = format!("x{}", "é".repeat(40));
    let session = Session::connect(&address(&database.url()), &long).await.unwrap();
    assert_eq!(session.application_name(), format!("x{}", "é".repeat(31)));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let cluster = Cluster::shared().await;
    cluster.role_with_password("locked_in", "right:\\ 'one").await.unwrap();
    let database = cluster.database("refusals").await;
    let port = cluster.port();
    let place = format!("127.0.0.1:{port}/{}", database.name());

    let failure = refusal(&format!("postgresql://locked_in:wrong@{place}")).await;
    assert_eq!((failure.kind(), failure.sqlstate()), (FailureKind::WrongPassword, Some("28P01")));
    let failure = refusal(&format!("postgresql://locked_in@{place}")).await;
    assert_eq!((failure.kind(), failure.sqlstate()), (FailureKind::WrongPassword, None));
    assert!(failure.message().contains("password missing"), "{failure}");
    let failure = refusal(&format!("postgresql://nobody_here@{place}")).await;
    assert_eq!((failure.kind(), failure.sqlstate()), (FailureKind::WrongPassword, Some("28000")));
    let failure = refusal(&format!("postgresql://postgres@127.0.0.1:{port}/no_such")).await;
    assert_eq!((failure.kind(), failure.sqlstate()), (FailureKind::DatabaseMissing, Some("3D000")));
    let url = format!("postgresql://locked_in:right%3A%5C%20%27one@{place}");
    let session = session(&url).await;
    assert_eq!(value(&session, "SELECT current_user").await.as_deref(), Some("locked_in"));
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_cannot_be_connected_to() {
    let cluster = Cluster::shared().await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let url = format!("postgresql://postgres:hunter2@127.0.0.1:{}/postgres?connect_timeout=1", proxy.port());
    proxy.freeze();
    let failure = refusal(&url).await;
    assert_eq!(failure.kind(), FailureKind::CannotConnect);
    assert!(failure.message().contains("within 1s"), "{failure}");
    proxy.thaw();
    proxy.refuse().await.unwrap();
    let failure = refusal(&url).await;
    assert_eq!(failure.kind(), FailureKind::CannotConnect);
    assert!(failure.message().contains(&format!("127.0.0.1:{}", proxy.port())), "{failure}");
    assert!(!format!("{failure:?} {failure}").contains("hunter2"));
    let failure = refusal("host=/nonexistent/directory user=u").await;
    assert_eq!(failure.kind(), FailureKind::CannotConnect);
    assert!(failure.message().contains("/nonexistent/directory/.s.PGSQL.5432"), "{failure}");
}

#[tokio::test]
async fn the_next_host_is_tried_and_a_refused_login_is_reported_above_silence() {
    let cluster = Cluster::shared().await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    proxy.refuse().await.unwrap();
    let (dead, live) = (proxy.port(), cluster.port());
    let both = session(&format!("postgresql://postgres@127.0.0.1:{dead},127.0.0.1:{live}/postgres")).await;
    assert_eq!(value(&both, "SELECT 1").await.as_deref(), Some("1"));
    let failure =
        refusal(&format!("postgresql://nobody_here@127.0.0.1:{live},127.0.0.1:{dead}/postgres")).await;
    assert_eq!(failure.sqlstate(), Some("28000"));
}

#[tokio::test]
async fn a_server_of_the_wrong_kind_is_passed_over() {
    let cluster = Cluster::shared().await;
    let url = cluster.url("postgres");
    for (wanted, fits) in
        [("any", true), ("primary", true), ("read-write", true), ("standby", false), ("read-only", false)]
    {
        let outcome =
            Session::connect(&address(&format!("{url}?target_session_attrs={wanted}")), "kind").await;
        match outcome {
            Ok(session) => {
                assert!(fits, "{wanted}");
                assert_eq!(value(&session, "SELECT 1").await.as_deref(), Some("1"));
            }
            Err(failure) => {
                assert!(!fits, "{wanted}: {failure}");
                assert!(failure.message().contains("target_session_attrs"), "{failure}");
            }
        }
    }
    let read_only = "?options=-c%20default_transaction_read_only%3Don&target_session_attrs=";
    assert!(Session::connect(&address(&format!("{url}{read_only}read-only")), "kind").await.is_ok());
    assert!(Session::connect(&address(&format!("{url}{read_only}read-write")), "kind").await.is_err());
}

#[tokio::test]
async fn an_identity_tells_the_server_and_tolerates_missing_privileges() {
    let cluster = Cluster::shared().await;
    cluster.role("visitor").await.unwrap();
    let database = cluster.database("identity").await;
    let owner = session(&database.url()).await;
    let told = identity(&owner).await.unwrap();
    assert_eq!(told.database, database.name());
    assert!(told.server_version_num >= 150_000);
    assert!(!told.in_recovery);
    assert_eq!(told.timeline, Some(1));
    assert_eq!(told.server_address, Some(format!("127.0.0.1:{}", cluster.port())));
    let by_server = value(&owner, "SELECT system_identifier FROM pg_control_system()").await.unwrap();
    assert_eq!(told.system_identifier.unwrap().to_string(), by_server);

    owner
        .run("REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() FROM PUBLIC")
        .await
        .unwrap();
    let visitor = session(&database.url_for("visitor")).await;
    let told = identity(&visitor).await.unwrap();
    assert_eq!((told.system_identifier, told.timeline), (None, None));
    assert_eq!(told.database, database.name());

    let socket =
        format!("host={} port={} user=postgres", cluster.socket_directory().display(), cluster.port());
    assert_eq!(identity(&session(&socket).await).await.unwrap().server_address, None);
}

#[tokio::test]
async fn a_standby_says_that_it_is_in_recovery() {
    let cluster = Cluster::shared().await;
    let standby = cluster.standby(testkit::ClusterOptions::default()).await.unwrap();
    let session = session(&format!("{}?target_session_attrs=standby", standby.url("postgres"))).await;
    assert!(identity(&session).await.unwrap().in_recovery);
    let failure = session.run("CREATE TABLE t ()").await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::ReadOnlyServer);
}
