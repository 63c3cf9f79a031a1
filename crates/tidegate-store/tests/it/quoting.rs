//! Quoted texts, read back by the server.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use testkit::Cluster;
use tidegate_store::postgres::{Session, parse_qualified_name, quote_identifier, quote_literal};

use crate::door::{session, single};

/// Texts rich in what quoting is about.
fn text(bytes_max: usize) -> impl Strategy<Value = String> {
    let nasty = proptest::sample::select(vec![
        "'",
        "\"",
        "\\",
        "\\'",
        "''",
        "E'",
        "$$",
        ";",
        "--",
        "/*",
        "\n",
        "é",
        "\u{10FFFF}",
        "%",
        "U&",
    ]);
    let part = proptest::strategy::Union::new([nasty.prop_map(str::to_owned).boxed(), "[^\0]{0,3}".boxed()]);
    proptest::collection::vec(part, 0..12).prop_map(move |parts| {
        let mut text = parts.concat();
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    })
}

fn check(
    strategy: impl Strategy<Value = String>,
    look: impl AsyncFn(&Session, &str) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_database, session) = runtime.block_on(async {
        let database = Cluster::shared().await.database("quoting").await;
        let session = session(&database.url()).await;
        (database, session)
    });
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, |text| runtime.block_on(look(&session, &text))).unwrap();
}

#[test]
fn the_server_reads_a_quoted_literal_as_it_was() {
    check(text(200), async |session, text| {
        for conforming in ["on", "off"] {
            // Directly behind a word, where an escape string could join it.
            let sql = format!(
                "SET standard_conforming_strings = {conforming}; SET escape_string_warning = off; SELECT{}",
                quote_literal(text)
            );
            let answers =
                session.run(&sql).await.map_err(|failure| TestCaseError::fail(failure.to_string()))?;
            let read = single(&answers);
            proptest::prop_assert_eq!(read.as_deref(), Some(text));
        }
        Ok(())
    });
}

#[test]
fn the_server_reads_a_quoted_identifier_as_it_was() {
    let names = text(63).prop_filter("a name is not empty", |name| !name.is_empty());
    check(names, async |session, name| {
        let sql = format!("SELECT 1 AS {}", quote_identifier(name));
        let answers = session.run(&sql).await.map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        proptest::prop_assert_eq!(&answers[0].columns[0], name);
        let parsed = parse_qualified_name(&format!("s.{}", quote_identifier(name))).unwrap();
        proptest::prop_assert_eq!(&parsed.name, name);
        Ok(())
    });
}

#[tokio::test]
async fn a_text_with_a_nul_is_never_sent() {
    let database = Cluster::shared().await.database("nul").await;
    let session = session(&database.url()).await;
    let failure = session.run(&format!("SELECT {}", quote_literal("a\0b"))).await.unwrap_err();
    assert_eq!(failure.sqlstate(), None, "the server was not asked: {failure}");
    assert!(session.run(&format!("SELECT 1 AS {}", quote_identifier("a\0b"))).await.is_err());
    assert!(session.run("SELECT 1").await.is_ok());
}
