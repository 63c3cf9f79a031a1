//! The kit's own tests, against real servers.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod pgbouncer;
#[cfg(test)]
mod program;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod redis;
#[cfg(feature = "s3")]
#[cfg(test)]
mod s3;
#[cfg(test)]
mod standby;
