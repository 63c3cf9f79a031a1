//! What a transaction leaves in the trace.

use std::io::Write;
use std::sync::{Arc, Mutex};

use testkit::Cluster;
use tidegate_store::postgres::{FailureKind, TxOptions, TxOutcome, run_tx};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::door::session;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_transaction_is_one_span_with_its_name_attempts_time_and_outcome() {
    let database = Cluster::shared().await.database("span").await;
    let session = session(&format!("{}?sslmode=disable", database.url().replace('@', ":hunter2@"))).await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(::tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = ::tracing::subscriber::set_default(subscriber);
    let options = TxOptions { attempts: 2, ..TxOptions::default() };
    let outcome = run_tx(&session, "count the tides", &options, async |session| {
        session.run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$").await.map(|_| ())
    })
    .await;
    drop(guard);
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.kind(), FailureKind::Serialization);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let closed: Vec<&str> = text.lines().filter(|line| line.contains(r#""message":"close""#)).collect();
    assert_eq!(closed.len(), 1, "{text}");
    for part in [
        r#""name":"transaction""#,
        r#""tx":"count the tides""#,
        r#""attempts":2"#,
        r#""outcome":"rolled back""#,
        r#""elapsed_ms":"#,
    ] {
        assert!(closed[0].contains(part), "{part} is not in {}", closed[0]);
    }
    assert!(text.contains("a transaction is tried again"), "{text}");
    assert!(!text.contains("hunter2"));
}
