//! Each fault of the store on each route: what is answered, how often is asked, and what the same request does later.

use axum::http::Method;
use testkit::{S3Code, S3Fault, S3Operation};

use super::world::{Asker, Reply, World};

const CODES: [(S3Code, usize); 5] = [
    (S3Code::NoSuchKey, 1),
    (S3Code::AccessDenied, 1),
    (S3Code::SlowDown, 3),
    (S3Code::InternalError, 3),
    (S3Code::ServiceUnavailable, 3),
];

/// A request by its route.
#[derive(Debug, Clone, Copy)]
enum Route {
    Stage,
    Upload,
    Read,
    Delete,
}

impl Route {
    const ALL: [Route; 4] = [Route::Stage, Route::Upload, Route::Read, Route::Delete];

    fn operation(self) -> S3Operation {
        match self {
            Route::Stage | Route::Upload => S3Operation::Put,
            Route::Read => S3Operation::Get,
            Route::Delete => S3Operation::Delete,
        }
    }

    fn failure(self) -> &'static str {
        match self {
            Route::Stage | Route::Upload => "Failed to persist blob data",
            Route::Read => "Failed to read blob data",
            Route::Delete => "Failed to delete blob data",
        }
    }

    fn good(self) -> u16 {
        if matches!(self, Route::Stage) { 201 } else { 200 }
    }

    async fn ask(self, ann: &Asker, blob: &str) -> Reply {
        match self {
            Route::Stage => ann.stage(&format!("s-{blob}"), blob, Some("aGk=")).await,
            Route::Upload => ann.upload(blob, "text/plain", "hi").await,
            Route::Read => ann.read(blob).await,
            Route::Delete => ann.remove(blob).await,
        }
    }

    /// What has to be there before.
    async fn prepare(self, ann: &Asker, blob: &str) {
        if matches!(self, Route::Read | Route::Delete) {
            assert_eq!(ann.upload(blob, "text/plain", "hi").await.status.as_u16(), 200);
        }
    }
}

#[tokio::test]
async fn every_code_is_500_with_the_routes_text_and_the_same_request_succeeds_later() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for route in Route::ALL {
        for (code, attempts) in CODES {
            let blob = format!("{route:?}-{}", code.name());
            route.prepare(&ann, &blob).await;
            world.s3.forget_requests();
            world.s3.fault_always(route.operation(), S3Fault::Refuse(code));
            let reply = route.ask(&ann, &blob).await;
            assert_eq!(reply.refusal(), (500, route.failure().to_owned()), "{blob}");
            assert_eq!(world.s3.count(route.operation()), attempts, "{blob}");
            world.s3.heal();
            assert_eq!(route.ask(&ann, &blob).await.status.as_u16(), route.good(), "{blob}");
        }
    }
    let told = ann.get("/metrics").await;
    let told = String::from_utf8_lossy(&told.body).into_owned();
    for (code, attempts) in CODES {
        for (then, least) in
            [("tried_again", Route::ALL.len() * (attempts - 1)), ("given_up", Route::ALL.len())]
        {
            let start = format!("vfs_blob_store_failures_total{{code=\"{}\",then=\"{then}\"}} ", code.name());
            let line = told.lines().find_map(|line| line.strip_prefix(&start));
            let count: usize = line.unwrap_or_else(|| panic!("no {start} in {told}")).parse().unwrap();
            assert!(count >= least, "{start}{count}");
        }
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_and_nobody_notices() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let mut faults: Vec<S3Fault> =
        [S3Code::SlowDown, S3Code::InternalError, S3Code::ServiceUnavailable].map(S3Fault::Refuse).into();
    faults.push(S3Fault::LoseReply);
    for route in Route::ALL {
        for (at, fault) in faults.iter().enumerate() {
            let blob = format!("{route:?}-{at}");
            route.prepare(&ann, &blob).await;
            world.s3.forget_requests();
            world.s3.fault_times(route.operation(), *fault, 2);
            let reply = route.ask(&ann, &blob).await;
            assert_eq!(reply.status.as_u16(), route.good(), "{blob}: {reply:?}");
            assert_eq!(world.s3.count(route.operation()), 3, "{blob}");
            if !matches!(route, Route::Delete) {
                assert_eq!(&ann.read(&blob).await.body[..], b"hi", "{blob}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_always_lost_is_500_and_the_same_request_is_safe() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for route in [Route::Stage, Route::Upload, Route::Delete] {
        let blob = format!("{route:?}");
        route.prepare(&ann, &blob).await;
        world.s3.fault_always(route.operation(), S3Fault::LoseReply);
        assert_eq!(route.ask(&ann, &blob).await.refusal(), (500, route.failure().to_owned()), "{blob}");
        world.s3.heal();
        assert_eq!(route.ask(&ann, &blob).await.status.as_u16(), route.good(), "{blob}");
    }
    assert_eq!(world.s3.keys().unwrap(), ["p/Stage", "p/Upload"]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_no_more_than_the_deadline() {
    let variables = [("VFS_BLOB_ATTEMPT_TIMEOUT_MS", "40"), ("VFS_BLOB_DEADLINE_MS", "200")];
    let world = World::with(27, &variables).await;
    let ann = world.user("ann").await;
    for route in [Route::Upload, Route::Read, Route::Delete] {
        let blob = format!("{route:?}");
        route.prepare(&ann, &blob).await;
        world.s3.forget_requests();
        world.s3.fault_always(route.operation(), S3Fault::Hang);
        let started = std::time::Instant::now();
        assert_eq!(route.ask(&ann, &blob).await.refusal(), (500, route.failure().to_owned()), "{blob}");
        assert!(started.elapsed().as_millis() >= 80, "{:?}", started.elapsed());
        assert!((2..=3).contains(&world.s3.count(route.operation())), "{blob}");
        world.s3.heal();
        // Forty milliseconds are little on a machine that is at work for others.
        let bound = std::time::Duration::from_secs(30);
        let again = || async { (route.ask(&ann, &blob).await.status.as_u16() == 200).then_some(()) };
        testkit::eventually("the same request is answered", bound, again).await.unwrap();
    }
}

#[tokio::test]
async fn no_transaction_is_open_while_the_store_is_asked() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for route in Route::ALL {
        let blob = format!("{route:?}");
        route.prepare(&ann, &blob).await;
        world.s3.forget_requests();
        world.s3.fault(route.operation(), S3Fault::Hang);
        let asked = tokio::spawn({
            let (ann, blob) = (ann.clone(), blob.clone());
            async move { route.ask(&ann, &blob).await }
        });
        let bound = std::time::Duration::from_secs(10);
        let came = || async { (world.s3.count(route.operation()) == 1).then_some(()) };
        testkit::eventually("the store is asked", bound, came).await.unwrap();
        let open = "pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";
        assert_eq!(world.count(open).await, 0, "{route:?}");
        world.s3.heal();
        assert_eq!(asked.await.unwrap().status.as_u16(), route.good());
    }
}

#[tokio::test]
async fn wrong_keys_are_a_matter_of_configuration() {
    let world = World::with(27, &[("VFS_BLOB_S3_SECRET_ACCESS_KEY", "another")]).await;
    let ann = world.user("ann").await;
    assert_eq!(
        ann.upload("b1", "text/plain", "hi").await.refusal(),
        (500, "Failed to persist blob data".into())
    );
    assert_eq!(world.s3.count(S3Operation::Put), 1);
    assert_eq!(ann.send(Method::GET, "/v1/vfs/blobs/b1", &[], "").await.unwrap().status.as_u16(), 404);
}
