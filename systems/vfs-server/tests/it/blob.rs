//! Blobs over real HTTP, on a real PostgreSQL and a real S3 endpoint.

mod attaching;
mod deleting;
mod doubt;
mod faults;
mod migrating;
mod operating;
mod process;
mod racing;
mod reading;
mod staging;
mod taking;
mod visibility;
mod world;
