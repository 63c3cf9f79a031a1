//! TLS to a server whose certificate is signed by an authority of the test's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::account::Account;
use testkit::{Cluster, ClusterOptions, eventually};
use tidegate_store::http::{Client, HttpFailure, Request};
use tidegate_store::postgres::{Failure, FailureKind, Session};
use tidegate_store::process::{Invocation, run};

use crate::door::{BOUND, address, value};

/// A directory with an authority, a certificate of it for `localhost` alone, and a self-signed one for `127.0.0.1`.
struct Papers(PathBuf);

impl Papers {
    async fn draw_up(name: &str) -> Papers {
        let directory = std::env::temp_dir().join(format!("tidegate-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let script = "set -e
            new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'
            openssl req -x509 $new -subj /CN=authority -keyout ca.key -out ca.crt
            openssl req -x509 $new -subj /CN=stranger -keyout stranger.key -out stranger.crt
            openssl req -x509 $new -subj /CN=self -addext subjectAltName=IP:127.0.0.1 -keyout self.key -out self.crt
            openssl req $new -subj /CN=server -keyout server.key -out server.csr
            printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > extensions
            openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
                -extfile extensions -out server.crt
            chmod 600 *.key";
        let made = run(Invocation {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            stdin: None,
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin:/usr/local/bin".to_owned())],
            timeout: Duration::from_secs(60),
            output_bytes_max: 10_000,
            directory: Some(directory.clone()),
        })
        .await
        .unwrap();
        assert!(made.succeeded(), "{}", String::from_utf8_lossy(&made.stderr));
        Papers(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A server that shows the named certificate.
    async fn cluster(&self, name: &str) -> Cluster {
        let account = Account::for_servers().unwrap();
        for path in [&self.0, Path::new(&self.path(&format!("{name}.key")))] {
            account.own(path).unwrap();
        }
        let options = ClusterOptions::default()
            .set("ssl", "on")
            .set("ssl_cert_file", &self.path(&format!("{name}.crt")))
            .set("ssl_key_file", &self.path(&format!("{name}.key")));
        Cluster::start(options).await.unwrap()
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

async fn connect(cluster: &Cluster, host: &str, parameters: &str) -> Result<Session, Failure> {
    let url = format!("postgresql://postgres@{host}:{}/postgres?{parameters}", cluster.port());
    Session::connect(&address(&url), "tls").await
}

/// Whether the session is encrypted, or the kind of the refusal.
async fn encrypted(outcome: Result<Session, Failure>) -> Result<bool, FailureKind> {
    let session = outcome.map_err(|failure| failure.kind())?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(value(&session, sql).await.as_deref() == Some("t"))
}

#[tokio::test]
async fn each_sslmode_examines_what_it_says() {
    let papers = Papers::draw_up("modes").await;
    let cluster = papers.cluster("server").await;
    let (ours, strange) = (papers.path("ca.crt"), papers.path("stranger.crt"));
    let refused = Err(FailureKind::Tls);
    for (host, parameters, expected) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), Ok(false)),
        ("127.0.0.1", "sslmode=prefer".to_owned(), Ok(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Ok(true)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={ours}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={strange}"), refused),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ours}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={strange}"), refused),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ours}&hostaddr=127.0.0.1"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ours}"), refused),
        ("localhost", format!("sslmode=verify-full&sslrootcert={strange}&hostaddr=127.0.0.1"), refused),
        ("localhost", "sslrootcert=system&hostaddr=127.0.0.1".to_owned(), refused),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={}", papers.path("server.key")), refused),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=/no/such/file".to_owned(), refused),
    ] {
        let found = encrypted(connect(&cluster, host, &parameters).await).await;
        assert_eq!(found, expected, "{host} {parameters}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_the_root_itself() {
    let papers = Papers::draw_up("self").await;
    let cluster = papers.cluster("self").await;
    let itself = papers.path("self.crt");
    let full = format!("sslmode=verify-full&sslrootcert={itself}");
    assert_eq!(encrypted(connect(&cluster, "127.0.0.1", &full).await).await, Ok(true));
    let wrong_host = connect(&cluster, "localhost", &format!("{full}&hostaddr=127.0.0.1")).await;
    assert_eq!(encrypted(wrong_host).await, Err(FailureKind::Tls));
    let stranger = format!("sslmode=verify-ca&sslrootcert={}", papers.path("stranger.crt"));
    assert_eq!(encrypted(connect(&cluster, "127.0.0.1", &stranger).await).await, Err(FailureKind::Tls));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_by_require_and_taken_by_prefer() {
    let cluster = Cluster::shared().await;
    assert_eq!(encrypted(connect(cluster, "127.0.0.1", "sslmode=prefer").await).await, Ok(false));
    let failure = connect(cluster, "127.0.0.1", "sslmode=require").await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Tls);
    assert!(failure.message().contains("does not support TLS"), "{failure}");
}

#[tokio::test]
async fn passwords_and_cancelling_work_over_tls() {
    let papers = Papers::draw_up("cancel").await;
    let cluster = papers.cluster("server").await;
    cluster.role_with_password("sealed", "pw").await.unwrap();
    let url = format!("postgresql://sealed:pw@127.0.0.1:{}/postgres?sslmode=require", cluster.port());
    let session = Session::connect(&address(&url), "tls").await.unwrap();
    let watcher = connect(&cluster, "127.0.0.1", "sslmode=require").await.unwrap();
    let pid = session.backend_pid().await.unwrap();
    let cancel = session.cancel_handle();
    let cancelling = async {
        eventually("the statement runs", BOUND, || async {
            let sql = format!("SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}");
            (value(&watcher, &sql).await.as_deref() == Some("PgSleep")).then_some(())
        })
        .await
        .unwrap();
        cancel.cancel().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(session.run("SELECT pg_sleep(600)"), cancelling);
    assert_eq!(outcome.unwrap_err().kind(), FailureKind::Cancelled);
}

#[tokio::test]
async fn an_https_endpoint_is_trusted_by_its_authority_only() {
    let papers = Papers::draw_up("https").await;
    let port = free_port();
    let script = format!(
        "exec openssl s_server -quiet -www -accept 127.0.0.1:{port} -cert server.crt -key server.key"
    );
    let serving = run(Invocation {
        argv: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        stdin: None,
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin:/usr/local/bin".to_owned())],
        timeout: BOUND,
        output_bytes_max: 10_000,
        directory: Some(papers.0.clone()),
    });
    let asking = async {
        let request = |host: &str| Request {
            method: "GET".to_owned(),
            url: format!("https://{host}:{port}/"),
            headers: vec![],
            body: None,
            timeout: BOUND,
        };
        let client = Client::trusting(&papers.0.join("ca.crt")).unwrap();
        let response = eventually("the endpoint listens", BOUND, || async {
            match client.request(request("localhost")).await {
                Err(HttpFailure::NoConnection { .. }) => None,
                outcome => Some(outcome),
            }
        })
        .await
        .unwrap();
        assert_eq!(response.unwrap().status, 200);
        for (client, host) in [
            (Client::new(), "localhost"),
            (Client::trusting(&papers.0.join("stranger.crt")).unwrap(), "localhost"),
            (client, "127.0.0.1"),
        ] {
            let failure = client.request(request(host)).await.unwrap_err();
            assert!(matches!(failure, HttpFailure::Tls { .. }), "{host}: {failure:?}");
            assert!(!failure.may_have_arrived());
        }
    };
    tokio::select! {
        ended = serving => panic!("the endpoint ended: {ended:?}"),
        () = asking => {}
    }
    assert!(Client::trusting(&papers.0.join("server.key")).is_err());
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
