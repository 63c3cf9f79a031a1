//! An S3 endpoint of one's own that misbehaves on demand.
//!
//! What answers is a real implementation of the protocol over a directory: it examines signatures, preconditions and
//! checksums. In front of it stands our own proxy of requests, which does what a [`S3Fault`] says.

mod fault;
mod front;
mod probe;
mod signing;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use fault::{S3Code, S3Fault, S3Operation, S3Request};

use crate::{Error, scratch};
use fault::Faults;

/// The only bucket of an endpoint.
const BUCKET: &str = "tide";

/// An S3 endpoint with one bucket, gone with everything in it when this is dropped.
///
/// It runs on the runtime that started it: a test that blocks its thread blocks the endpoint.
#[derive(Debug)]
pub struct S3Endpoint {
    port: u16,
    root: PathBuf,
    secret_key: String,
    faults: Arc<Faults>,
    server: JoinHandle<()>,
}

impl S3Endpoint {
    /// Starts one, and asks it whether it examines signatures (403) and preconditions (412): with an endpoint that
    /// does not, tests would pass that should not.
    ///
    /// # Errors
    /// When it cannot be started, or does not examine what it should.
    pub async fn start() -> Result<S3Endpoint, Error> {
        let root = scratch::directory("s3-")?;
        let bucket = root.join(BUCKET);
        std::fs::create_dir(&bucket).map_err(Error::file("make", &bucket))?;
        let files = FileSystem::new(&root)
            .map_err(|error| Error::State(format!("no S3 endpoint over {}: {error:?}", root.display())))?;
        let secret_key = format!("secret-{}-{}", std::process::id(), scratch::next_number());
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, secret_key.as_str()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::process("listen for", "the S3 endpoint"))?;
        let address = listener.local_addr().map_err(Error::process("listen for", "the S3 endpoint"))?;
        let faults = Arc::new(Faults::default());
        let server = tokio::spawn(front::serve(listener, builder.build(), faults.clone()));
        let endpoint = S3Endpoint { port: address.port(), root, secret_key, faults, server };
        probe::examine(&endpoint).await?;
        endpoint.forget_requests();
        Ok(endpoint)
    }

    /// The key by which it knows its only user.
    pub const ACCESS_KEY: &str = "tidegate-test";

    /// Its secret.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its bucket.
    #[must_use]
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// Does this to the next request of the kind, once.
    pub fn fault(&self, operation: S3Operation, fault: S3Fault) {
        self.faults.add(operation, fault, Some(1));
    }

    /// Does this to the next requests of the kind.
    pub fn fault_times(&self, operation: S3Operation, fault: S3Fault, times: u32) {
        self.faults.add(operation, fault, Some(times));
    }

    /// Does this to every request of the kind until [`S3Endpoint::heal`].
    pub fn fault_always(&self, operation: S3Operation, fault: S3Fault) {
        self.faults.add(operation, fault, None);
    }

    /// Ends all faults. Requests that hang go on, and replies that are held go out.
    pub fn heal(&self) {
        self.faults.heal();
    }

    /// The requests since the start or the last [`S3Endpoint::forget_requests`], in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<S3Request> {
        self.faults.requests()
    }

    /// How many requests of a kind there were.
    #[must_use]
    pub fn count(&self, operation: S3Operation) -> usize {
        self.requests().iter().filter(|request| request.operation == operation).count()
    }

    /// Forgets the requests.
    pub fn forget_requests(&self) {
        self.faults.forget_requests();
    }

    /// The keys of the objects in the bucket, sorted, read past the protocol.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let bucket = self.root.join(BUCKET);
        let mut keys = Vec::new();
        walk(&bucket, &bucket, &mut keys)?;
        keys.sort();
        Ok(keys)
    }

    /// An object's bytes, read past the protocol.
    ///
    /// # Errors
    /// When there is none.
    pub fn object(&self, key: &str) -> Result<Vec<u8>, Error> {
        let path = self.root.join(BUCKET).join(key);
        std::fs::read(&path).map_err(Error::file("read", &path))
    }

    /// Takes an object away past the protocol, as somebody with a console does.
    ///
    /// # Errors
    /// When there is none.
    pub fn take_away(&self, key: &str) -> Result<(), Error> {
        let path = self.root.join(BUCKET).join(key);
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))
    }

    /// Puts an object into the bucket past the protocol.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn plant(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.root.join(BUCKET).join(key);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
        }
        std::fs::write(&path, bytes).map_err(Error::file("write", &path))
    }
}

impl Drop for S3Endpoint {
    fn drop(&mut self) {
        self.server.abort();
        self.faults.heal();
        // What stays is removed with the directory of this process.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn walk(bucket: &Path, directory: &Path, keys: &mut Vec<String>) -> Result<(), Error> {
    for entry in std::fs::read_dir(directory).map_err(Error::file("read", directory))? {
        let path = entry.map_err(Error::file("read", directory))?.path();
        if path.is_dir() {
            walk(bucket, &path, keys)?;
        } else if let Ok(key) = path.strip_prefix(bucket) {
            keys.push(key.display().to_string());
        }
    }
    Ok(())
}
