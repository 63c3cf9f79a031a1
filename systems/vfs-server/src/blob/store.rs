//! The object store: whole objects and streams, by the id of a blob.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};

use super::classify::{ObjectCode, ObjectError};
use super::config::{BlobConfig, BlobConfigError, Provider, S3Config};
use super::connection::Connector;
use super::key::BlobId;
use super::reading::Reading;

/// Bytes of a part of a multipart upload; an object has at most 10,000 of them. Two are in memory at a time.
pub const PART_BYTES: usize = 8 << 20;

/// Up to here a body may be a small one, and gets no room for a whole part.
const SMALL_BYTES: usize = 256 << 10;

/// What a piece of a body usually stays below.
const PIECE_BYTES: usize = 512 << 10;

/// Parts of an upload: what S3 takes. Larger bodies are refused.
pub const PARTS_MAX: u64 = 10_000;

/// How long the next piece of a body is waited for.
const PIECE_WAIT: Duration = Duration::from_secs(60);

/// What an object is said to be where nobody said.
pub const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";

/// Bytes of a content type.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// Where files have the content types of their neighbours: files have no attributes of their own.
const CONTENT_TYPES: &str = ".content-type";

/// Bytes of a file's name, less what the name of an unfinished one has besides.
const FILE_NAME_BYTES_MAX: usize = 200;

/// Whether files of this name are unfinished ones to the client of files: only a number stands behind the first `#`.
fn is_temporary(name: &str) -> bool {
    let number = name.split_once('#').map(|(_, number)| number).filter(|number| !number.is_empty());
    number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The objects of blobs.
#[derive(Debug, Clone)]
pub struct BlobStore {
    store: Arc<dyn ObjectStore>,
    config: Arc<BlobConfig>,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Bytes of it.
    pub size_bytes: u64,
    /// When it was written, by the store's clock, in seconds since 1970.
    pub modified_at_s: i64,
    /// The store's mark of its content.
    pub e_tag: Option<String>,
}

/// An object that is being read.
pub struct Object {
    /// Bytes of the whole of it.
    pub size_bytes: u64,
    /// The bytes that come.
    pub range: Range<u64>,
    /// What it is.
    pub content_type: String,
    /// The bytes, in pieces. A body that breaks off is resumed where it broke.
    pub body: stream::BoxStream<'static, Result<Bytes, ObjectError>>,
}

/// Why an upload did not become an object.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client's body ended early, or stood still.
    #[error("the body could not be read to its end: {0}")]
    Body(String),
    /// It has more than [`PARTS_MAX`] parts.
    #[error("the body has more than {PARTS_MAX} parts of {PART_BYTES} bytes")]
    TooLarge,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

impl BlobStore {
    /// Sets up a store. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When its client refuses the configuration.
    pub fn open(config: BlobConfig) -> Result<BlobStore, BlobConfigError> {
        let store: Arc<dyn ObjectStore> = match &config.provider {
            Provider::S3(s3) => Arc::new(s3_store(s3, &config)?),
            Provider::File { root } => {
                std::fs::create_dir_all(root).map_err(|error| {
                    BlobConfigError::Store(format!("VFS_BLOB_FILE_ROOT {}: {error}", root.display()))
                })?;
                let files = LocalFileSystem::new_with_prefix(root).map_err(refused)?;
                Arc::new(files.with_fsync(true))
            }
        };
        Ok(BlobStore { store, config: Arc::new(config) })
    }

    /// What it was set up with.
    #[must_use]
    pub fn config(&self) -> &BlobConfig {
        &self.config
    }

    fn is_file(&self) -> bool {
        matches!(self.config.provider, Provider::File { .. })
    }

    /// Whether an object of the id can be kept. Files cannot have every name that a key can have.
    #[must_use]
    pub fn takes(&self, id: &BlobId) -> bool {
        let id = id.as_str();
        !self.is_file() || (id.len() <= FILE_NAME_BYTES_MAX && !id.starts_with('.') && !is_temporary(id))
    }

    fn path(&self, id: &BlobId) -> Result<Path, ObjectError> {
        path(&self.config.prefix.key(id))
    }

    /// Writes an object, over what is there.
    ///
    /// # Errors
    /// When the store does not take it; it may be there all the same.
    ///
    /// # Idempotence
    /// The same bytes under the same id are the same object.
    pub async fn put(&self, id: &BlobId, content_type: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let path = self.path(id)?;
        self.put_content_type(id, content_type).await?;
        let options = PutOptions { attributes: self.attributes(content_type), ..PutOptions::default() };
        let put = self.store.put_opts(&path, PutPayload::from_bytes(bytes), options).await;
        put.map(|_| ()).map_err(|error| ObjectError::of(&error))
    }

    /// Writes an object of any size, of which two parts are in memory at a time. Returns its bytes.
    ///
    /// # Errors
    /// When the body or the store fails; what was written of it is then given up.
    pub async fn upload<E: std::fmt::Display>(
        &self,
        id: &BlobId,
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, UploadError> {
        let mut body = std::pin::pin!(body);
        let first = next_part(&mut body).await?;
        if first.len() < PART_BYTES {
            let size = first.len() as u64;
            self.put(id, content_type, first).await?;
            return Ok(size);
        }
        let path = self.path(id)?;
        self.put_content_type(id, content_type).await?;
        let before = self.head(id).await?;
        let options = PutMultipartOptions {
            attributes: self.attributes(content_type),
            ..PutMultipartOptions::default()
        };
        let upload = self.store.put_multipart_opts(&path, options).await;
        let mut upload = upload.map_err(|error| ObjectError::of(&error))?;
        match self.parts(&mut *upload, first, &mut body).await {
            Ok(size) => self.complete(id, &mut *upload, size, before.as_ref()).await,
            Err(error) => {
                give_up(&mut *upload, id).await;
                Err(error)
            }
        }
    }

    /// Sends the parts, one while the next is read. Returns their bytes.
    async fn parts<E: std::fmt::Display>(
        &self,
        upload: &mut dyn MultipartUpload,
        first: Bytes,
        body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    ) -> Result<u64, UploadError> {
        let mut part = first;
        let (mut size, mut count) = (0, 0);
        while !part.is_empty() {
            size += part.len() as u64;
            count += 1;
            if count > PARTS_MAX {
                return Err(UploadError::TooLarge);
            }
            let sent = upload.put_part(PutPayload::from_bytes(part));
            let (sent, next) = tokio::join!(sent, next_part(body));
            sent.map_err(|error| ObjectError::of(&error))?;
            part = next?;
        }
        Ok(size)
    }

    async fn complete(
        &self,
        id: &BlobId,
        upload: &mut dyn MultipartUpload,
        size: u64,
        before: Option<&ObjectMeta>,
    ) -> Result<u64, UploadError> {
        let Err(error) = upload.complete().await else { return Ok(size) };
        let error = ObjectError::of(&error);
        // After a lost answer the upload is not known any more: whether it became the object, the object tells.
        if error.after_doubt || error.code.may_have_happened() {
            let now = self.head(id).await?;
            let is_new =
                now.as_ref().is_some_and(|now| before.is_none_or(|before| before.e_tag != now.e_tag));
            if is_new && now.is_some_and(|now| now.size_bytes == size) {
                return Ok(size);
            }
        }
        give_up(upload, id).await;
        Err(error.into())
    }

    /// Opens an object, or a part of it.
    ///
    /// # Errors
    /// When there is none, or the store fails before the first byte. Later failures come in the body.
    pub async fn get(&self, id: &BlobId, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        let path = self.path(id)?;
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found = self.store.get_opts(&path, options).await.map_err(|error| ObjectError::of(&error))?;
        let content_type = match found.attributes.get(&Attribute::ContentType) {
            Some(content_type) => content_type.to_string(),
            None => self.get_content_type(id).await,
        };
        let (size_bytes, range) = (found.meta.size, found.range.clone());
        let body = Reading::new(self.store.clone(), path, found).into_stream();
        Ok(Object { size_bytes, range, content_type, body })
    }

    /// What is known of an object; `None`: there is none.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn head(&self, id: &BlobId) -> Result<Option<ObjectMeta>, ObjectError> {
        match self.store.head(&self.path(id)?).await.map_err(|error| ObjectError::of(&error)) {
            Ok(meta) => Ok(Some(meta_of(&meta))),
            Err(error) if error.code == ObjectCode::NoSuchKey => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes an object away.
    ///
    /// # Errors
    /// When the store does not do it. One that says there is none has refused too, unless an earlier attempt of this
    /// request may have taken it.
    pub async fn delete(&self, id: &BlobId) -> Result<(), ObjectError> {
        let path = self.path(id)?;
        match self.store.delete(&path).await.map_err(|error| ObjectError::of(&error)) {
            Err(error) if !(error.after_doubt && error.code == ObjectCode::NoSuchKey) => Err(error),
            _ => {
                if self.is_file() {
                    // What stays is overwritten by the next object of the id, and read by nobody until then.
                    let _ = self.store.delete(&self.content_type_path(id)?).await;
                }
                Ok(())
            }
        }
    }

    /// The objects of blobs, in no order: id and what is known. Objects that are no blob's are left out.
    pub fn list(&self) -> stream::BoxStream<'_, Result<(BlobId, ObjectMeta), ObjectError>> {
        let prefix = match self.config.prefix.as_str() {
            "" => None,
            prefix => match path(prefix) {
                Ok(prefix) => Some(prefix),
                Err(error) => return stream::once(async { Err(error) }).boxed(),
            },
        };
        let listed = self.store.list(prefix.as_ref());
        let ids = listed.filter_map(async |found| match found {
            Ok(meta) => {
                let id = self.config.prefix.id_of(meta.location.as_ref())?;
                Some(Ok((id, meta_of(&meta))))
            }
            Err(error) => Some(Err(ObjectError::of(&error))),
        });
        ids.boxed()
    }

    fn attributes(&self, content_type: &str) -> Attributes {
        let mut attributes = Attributes::new();
        if !self.is_file() {
            attributes.insert(Attribute::ContentType, content_type.to_owned().into());
        }
        attributes
    }

    fn content_type_path(&self, id: &BlobId) -> Result<Path, ObjectError> {
        path(&format!("{CONTENT_TYPES}/{}", self.config.prefix.key(id)))
    }

    async fn put_content_type(&self, id: &BlobId, content_type: &str) -> Result<(), ObjectError> {
        if !self.is_file() {
            return Ok(());
        }
        let path = self.content_type_path(id)?;
        let put = self.store.put(&path, PutPayload::from(content_type.to_owned())).await;
        put.map(|_| ()).map_err(|error| ObjectError::of(&error))
    }

    async fn get_content_type(&self, id: &BlobId) -> String {
        let read = async {
            let found = self.store.get(&self.content_type_path(id).ok()?).await.ok()?;
            String::from_utf8(found.bytes().await.ok()?.to_vec()).ok()
        };
        let read = if self.is_file() { read.await } else { None };
        read.unwrap_or_else(|| CONTENT_TYPE_DEFAULT.to_owned())
    }
}

fn s3_store(s3: &S3Config, config: &BlobConfig) -> Result<object_store::aws::AmazonS3, BlobConfigError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_virtual_hosted_style_request(!s3.path_style)
        .with_disable_bulk_delete(true)
        // Attempts are ours, below it: this client would hide the code that the store gave.
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_http_connector(Connector::new(config.patience)?);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(true);
    }
    if let Some((access, secret)) = &s3.keys {
        builder = builder.with_access_key_id(access).with_secret_access_key(secret);
    }
    builder.build().map_err(refused)
}

fn refused(error: object_store::Error) -> BlobConfigError {
    BlobConfigError::Store(error.to_string())
}

fn path(key: &str) -> Result<Path, ObjectError> {
    Path::parse(key).map_err(|error| ObjectError {
        code: ObjectCode::Other("InvalidKey".to_owned()),
        attempts: 0,
        message: error.to_string(),
        after_doubt: false,
    })
}

fn meta_of(meta: &object_store::ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        size_bytes: meta.size,
        modified_at_s: meta.last_modified.timestamp(),
        e_tag: meta.e_tag.clone(),
    }
}

/// The next part of a body: full but for the last one, which may be empty.
async fn next_part<E: std::fmt::Display>(
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Bytes, UploadError> {
    let mut part = BytesMut::new();
    while part.len() < PART_BYTES {
        match tokio::time::timeout(PIECE_WAIT, body.next()).await {
            Ok(Some(Ok(piece))) => {
                // Room for the whole part at once: growing by doubling would hold twice of it.
                if part.len() >= SMALL_BYTES && part.capacity() < PART_BYTES {
                    part.reserve(PART_BYTES + PIECE_BYTES - part.len());
                }
                part.extend_from_slice(&piece);
            }
            Ok(Some(Err(error))) => return Err(UploadError::Body(error.to_string())),
            Ok(None) => break,
            Err(_) => {
                let waited = PIECE_WAIT.as_secs();
                return Err(UploadError::Body(format!("nothing came for {waited} s")));
            }
        }
    }
    Ok(part.freeze())
}

async fn give_up(upload: &mut dyn MultipartUpload, id: &BlobId) {
    if let Err(error) = upload.abort().await {
        let error = ObjectError::of(&error);
        tracing::warn!(blob = %id, code = error.code.name(), "an unfinished upload stays in the object store");
    }
}
