//! What the file-sync server adds to the store below it: blobs up, blobs down, and the memory that a large one takes.
//!
//! A sends one object over HTTP to the server, or reads it from there; B gives the same bytes to the same store by the
//! crate that the server uses, in parts of the same size with as many of them under way, or reads them. Once over a
//! local folder, with every object on the disk before it counts, and once over an endpoint that speaks the protocol of
//! S3 and runs in this program, for A as for B.
//!
//! Then one object of 1 GiB goes up and down, and the most memory that the server has had is told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{Failure, Pairs, describe, pairs_wanted, root};
use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use testkit::{Cluster, ClusterOptions, Database, Port, Program, Running, S3Endpoint};
use tidegate_store::postgres::{Address, Session};
use tokio::runtime::Runtime;

/// Bytes of the object that is timed.
const OBJECT_BYTES: usize = 256 << 20;
/// Bytes of the object whose memory is looked at.
const LARGE_BYTES: usize = 1 << 30;
/// Bytes of a part, as the server makes them.
const PART_BYTES: usize = 8 << 20;
/// Parts that are under way at a time: the server reads one while it sends one.
const PARTS_AT_ONCE: usize = 2;
/// Bytes that are written to a connection at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long the server may take to start, and a connection to say something.
const BOUND: Duration = Duration::from_secs(60);
/// The user of everything.
const USER: &str = "bench";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let count = pairs_wanted()?;
    let program = server()?;
    let runtime = Runtime::new().map_err(Failure::of("start the runtime"))?;
    let cluster = runtime.block_on(Cluster::start(ClusterOptions::default().fsync()))?;
    println!("server: {}, fsync on, synchronous_commit on", cluster.programs().version());
    println!("machine: {}", describe());
    let mib = OBJECT_BYTES >> 20;

    let folder = cluster.socket_directory().join("blobs");
    let direct = cluster.socket_directory().join("direct");
    std::fs::create_dir_all(&direct).map_err(Failure::of("make a folder"))?;
    let variables = [
        ("VFS_BLOB_STORE_PROVIDER", "file".to_owned()),
        ("VFS_BLOB_FILE_ROOT", folder.display().to_string()),
    ];
    let bench = Bench::start(&runtime, &cluster, &program, "folder", &variables)?;
    let files = LocalFileSystem::new_with_prefix(&direct).map_err(Failure::of("open the folder"))?;
    let files: Arc<dyn ObjectStore> = Arc::new(files.with_fsync(true));
    compare(&runtime, count, &bench, &files, &format!("{mib} MiB, a local folder"))?;
    flat(&bench, "a local folder")?;
    drop(bench);

    let s3 = runtime.block_on(S3Endpoint::start())?;
    let variables = [
        ("VFS_BLOB_S3_BUCKET", s3.bucket().to_owned()),
        ("VFS_BLOB_S3_ENDPOINT", s3.url()),
        ("VFS_BLOB_S3_ACCESS_KEY_ID", S3Endpoint::ACCESS_KEY.to_owned()),
        ("VFS_BLOB_S3_SECRET_ACCESS_KEY", s3.secret_key().to_owned()),
    ];
    let bench = Bench::start(&runtime, &cluster, &program, "bucket", &variables)?;
    let bucket = AmazonS3Builder::new()
        .with_bucket_name(s3.bucket())
        .with_endpoint(s3.url())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(S3Endpoint::ACCESS_KEY)
        .with_secret_access_key(s3.secret_key())
        .build();
    let bucket: Arc<dyn ObjectStore> = Arc::new(bucket.map_err(Failure::of("open the bucket"))?);
    compare(&runtime, count, &bench, &bucket, &format!("{mib} MiB, an S3 endpoint on this machine"))?;
    flat(&bench, "an S3 endpoint")?;
    println!("machine after: {}", describe());
    Ok(())
}

/// Both directions, in turns.
fn compare(
    runtime: &Runtime,
    count: usize,
    bench: &Bench,
    store: &Arc<dyn ObjectStore>,
    place: &str,
) -> Result<(), Failure> {
    let bytes = content(OBJECT_BYTES);
    let up = || bench.upload("timed", &bytes, OBJECT_BYTES);
    let pairs = Pairs::take(count, up, || runtime.block_on(put(store, &bytes)))?;
    tell(&format!("upload of {place}"), &pairs)?;
    let down = || bench.download("timed", OBJECT_BYTES);
    let pairs = Pairs::take(count, down, || runtime.block_on(get(store)))?;
    tell(&format!("download of {place}"), &pairs)
}

/// One large object up and down, and the server's memory.
fn flat(bench: &Bench, place: &str) -> Result<(), Failure> {
    let piece = content(PIECE_BYTES);
    let pid = bench.running.pid();
    // What the smaller ones took is no part of the most that is told.
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").map_err(Failure::of("forget a peak"))?;
    let before = kib(pid, "VmRSS:")?;
    bench.upload("large", &piece, LARGE_BYTES)?;
    bench.download("large", LARGE_BYTES)?;
    let peak = kib(pid, "VmHWM:")?;
    println!(
        "{} MiB up and down, {place}: the server has {} MiB before and {} MiB at most",
        LARGE_BYTES >> 20,
        before >> 10,
        peak >> 10
    );
    Ok(())
}

fn tell(what: &str, pairs: &Pairs) -> Result<(), Failure> {
    let (Some(a), Some(b), Some(ratio)) = (pairs.a(), pairs.b(), pairs.ratio()) else {
        return Err(Failure::new("no pair was taken"));
    };
    println!(
        "{what}: A (server) {a} s, B (the store) {b} s, A/B {ratio}, {} pairs; speed is {:.2} of the store's",
        pairs.count(),
        1.0 / ratio.median
    );
    Ok(())
}

/// Bytes that are not all the same.
fn content(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::with_capacity(bytes);
    while content.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.into()
}

/// The least that puts the object into the store.
async fn put(store: &Arc<dyn ObjectStore>, bytes: &Bytes) -> Result<Duration, Failure> {
    let began = Instant::now();
    let upload = store.put_multipart(&Key::from("timed")).await.map_err(Failure::of("begin an upload"))?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    for start in (0..bytes.len()).step_by(PART_BYTES) {
        upload.wait_for_capacity(PARTS_AT_ONCE - 1).await.map_err(Failure::of("upload"))?;
        upload.put(bytes.slice(start..bytes.len().min(start + PART_BYTES)));
    }
    upload.finish().await.map_err(Failure::of("end an upload"))?;
    Ok(began.elapsed())
}

/// The least that reads it.
async fn get(store: &Arc<dyn ObjectStore>) -> Result<Duration, Failure> {
    let began = Instant::now();
    let found = store.get(&Key::from("timed")).await.map_err(Failure::of("read the object"))?;
    let mut body = found.into_stream();
    let mut seen = 0;
    while let Some(piece) = body.next().await {
        seen += piece.map_err(Failure::of("read the object"))?.len();
    }
    if seen == OBJECT_BYTES {
        return Ok(began.elapsed());
    }
    Err(Failure::new(format!("the store gave {seen} bytes of {OBJECT_BYTES}")))
}

/// Kibibytes of a process by a line of its status.
fn kib(pid: u32, field: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    let status = status.map_err(Failure::of("read the server's status"))?;
    let line = status.lines().find(|line| line.starts_with(field));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    let number = word.and_then(|word| word.parse().ok());
    number.ok_or_else(|| Failure::new(format!("the server's status has no {field}")))
}

/// Builds the server for release and gives its path.
fn server() -> Result<PathBuf, Failure> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--package", "vfs-server", "--target-dir"]);
    command.arg(root().join("target")).current_dir(root());
    let status = command.status().map_err(Failure::of("start cargo"))?;
    let path = root().join("target/release/vfs-server");
    if status.success() && path.is_file() {
        return Ok(path);
    }
    Err(Failure::new("vfs-server could not be built; what cargo said is above"))
}

/// A server over its database and one store, and whoever asks it.
struct Bench {
    address: String,
    token: String,
    running: Running,
    _database: Database,
}

impl Bench {
    fn start(
        runtime: &Runtime,
        cluster: &Cluster,
        program: &Path,
        name: &str,
        variables: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let database = runtime.block_on(cluster.try_database(name, "template1"))?;
        let port = Port::reserve()?;
        let mut program = Program::new(program)
            .env("DATABASE_URL", database.url())
            .env("JWT_SECRET", "a secret of the benchmark, as long as it must be")
            .env("PORT", port.number().to_string())
            .env("RUST_LOG", "error");
        for (name, value) in variables {
            program = program.env(name, value);
        }
        let run = |words: &[&str]| {
            let outcome = runtime.block_on(program.clone().args(words).run(BOUND))?;
            match outcome.code() {
                Some(0) => Ok(outcome.stdout.trim().to_owned()),
                _ => Err(Failure::new(format!("vfs-server {}: {}", words.join(" "), outcome.stderr))),
            }
        };
        run(&["migrate"])?;
        runtime.block_on(async {
            let address = Address::resolve(Some(&database.url()), &|_| None);
            let address = address.map_err(Failure::of("read the address"))?;
            let session = Session::connect(&address, "bench").await.map_err(Failure::of("connect"))?;
            let user = format!("INSERT INTO users (id) VALUES ('{USER}')");
            session.run(&user).await.map_err(Failure::of("make a user"))
        })?;
        let token = run(&["token", "--user", USER])?;
        let running = program.clone().arg("serve").start()?;
        runtime.block_on(running.until_stdout("listening on", BOUND))?;
        let address = format!("127.0.0.1:{}", port.number());
        Ok(Self { address, token, running, _database: database })
    }

    /// Sends an object of `bytes` bytes that `content` is repeated in. By hand, so that the client costs nothing.
    fn upload(&self, id: &str, content: &[u8], bytes: usize) -> Result<Duration, Failure> {
        let began = Instant::now();
        let mut stream =
            self.ask("PUT", &format!("{id}/content"), &format!("content-length: {bytes}\r\n"))?;
        for _ in 0..bytes / content.len() {
            for piece in content.chunks(PIECE_BYTES) {
                stream.write_all(piece).map_err(Failure::of("send a blob"))?;
            }
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(Failure::of("read an answer"))?;
        if !answer.starts_with("HTTP/1.1 200") || !answer.contains(&format!("\"sizeBytes\":{bytes}")) {
            return Err(Failure::new(format!("the blob was not taken: {answer}")));
        }
        Ok(began.elapsed())
    }

    /// Reads an object and lets go of it.
    fn download(&self, id: &str, bytes: usize) -> Result<Duration, Failure> {
        let began = Instant::now();
        let mut stream = self.ask("GET", id, "")?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut head = Vec::new();
        let body = loop {
            let length = stream.read(&mut piece).map_err(Failure::of("read a head"))?;
            head.extend_from_slice(piece.get(..length).unwrap_or_default());
            if let Some(end) = head.windows(4).take(HEAD_BYTES_MAX).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if length == 0 || head.len() > HEAD_BYTES_MAX {
                return Err(Failure::new("an answer has no head"));
            }
        };
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(Failure::new(format!("the blob is not there: {}", String::from_utf8_lossy(&head))));
        }
        let mut seen = head.len() - body;
        loop {
            match stream.read(&mut piece).map_err(Failure::of("read a blob"))? {
                0 => break,
                length => seen += length,
            }
        }
        if seen == bytes {
            return Ok(began.elapsed());
        }
        Err(Failure::new(format!("the server gave {seen} bytes of {bytes}")))
    }

    fn ask(&self, method: &str, path: &str, more: &str) -> Result<TcpStream, Failure> {
        let mut stream = TcpStream::connect(&self.address).map_err(Failure::of("connect"))?;
        for set in [stream.set_read_timeout(Some(BOUND)), stream.set_write_timeout(Some(BOUND))] {
            set.map_err(Failure::of("bound a connection"))?;
        }
        let (address, token) = (&self.address, &self.token);
        let head = format!(
            "{method} /v1/vfs/blobs/{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(Failure::of("ask"))?;
        Ok(stream)
    }
}
