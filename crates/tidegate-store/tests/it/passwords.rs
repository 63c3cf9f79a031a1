//! Passwords from files and for child programs, never in arguments.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use testkit::Cluster;
use tidegate_store::postgres::{Address, AddressError, ChildAccess, Session};
use tidegate_store::process::{Invocation, run};

use crate::door::{address, value};

const PASSWORD: &str = "s3:cr\\et";

/// A file of this test process, removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str, mode: u32) -> Scratch {
        let path = std::env::temp_dir().join(format!("tidegate-store-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_password_file_opens_the_door_and_an_open_file_does_not() {
    let cluster = Cluster::shared().await;
    cluster.role_with_password("filed", PASSWORD).await.unwrap();
    let file = Scratch::new("passfile", "# comment\n*:1:*:*:no\n127.0.0.1:*:*:filed:s3\\:cr\\\\et\n", 0o600);
    let url = cluster.url_for("filed", "postgres");
    let variables = HashMap::from([("PGPASSFILE", file.0.display().to_string())]);
    let resolve = || Address::resolve(Some(&url), &|name| variables.get(name).cloned());
    let session = Session::connect(&resolve().unwrap(), "passfile").await.unwrap();
    assert_eq!(value(&session, "SELECT current_user").await.as_deref(), Some("filed"));

    let by_keyword = format!("{url}?passfile={}", file.0.display());
    assert!(Session::connect(&address(&by_keyword), "passfile").await.is_ok());

    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = resolve().unwrap_err();
    assert!(matches!(error, AddressError::PassfileTooOpen { mode: 0o644, .. }), "{error:?}");
    assert!(error.to_string().contains("chmod 600"));
}

#[tokio::test]
async fn a_home_directory_has_its_password_file() {
    let cluster = Cluster::shared().await;
    cluster.role_with_password("homed", PASSWORD).await.unwrap();
    let home = std::env::temp_dir().join(format!("tidegate-store-home-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join(".pgpass"), "*:*:*:homed:s3\\:cr\\\\et\n").unwrap();
    std::fs::set_permissions(home.join(".pgpass"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let url = cluster.url_for("homed", "postgres");
    let resolved =
        Address::resolve(Some(&url), &|name| (name == "HOME").then(|| home.display().to_string())).unwrap();
    let connected = Session::connect(&resolved, "home").await;
    std::fs::remove_dir_all(&home).unwrap();
    assert!(connected.is_ok(), "{connected:?}");
}

#[tokio::test]
async fn a_child_program_gets_in_without_a_password_in_sight() {
    let cluster = Cluster::shared().await;
    cluster.role_with_password("child", PASSWORD).await.unwrap();
    let database = cluster.database("child").await;
    let place = format!("127.0.0.1:{}/{}", cluster.port(), database.name());
    let address = address(&format!("postgresql://child:s3%3Acr%5Cet@{place}"));
    let access = ChildAccess::new(&address, "child of a test").unwrap();
    let path = access.passfile().to_owned();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(access.environment().iter().all(|(_, value)| !value.contains(PASSWORD)));
    assert!(!format!("{access:?}").contains(PASSWORD));
    let finished = run(Invocation {
        argv: [
            cluster.programs().program("psql").to_str().unwrap(),
            "-XAtqc",
            "SELECT current_user, current_setting('application_name')",
        ]
        .map(str::to_owned)
        .to_vec(),
        stdin: None,
        environment: access.environment().to_vec(),
        timeout: Duration::from_secs(30),
        output_bytes_max: 1_000,
        directory: None,
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&finished.stderr);
    assert!(finished.succeeded(), "{said}");
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "child|child of a test\n");
    drop(access);
    assert!(!path.exists());
}
