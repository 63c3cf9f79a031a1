//! The doors, opened against real servers and programs.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod connecting;
#[cfg(test)]
mod door;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod http;
#[cfg(feature = "kv")]
#[cfg(test)]
mod kv_conformance;
#[cfg(feature = "kv")]
#[cfg(test)]
mod kv_redis;
#[cfg(feature = "kv")]
#[cfg(test)]
mod kv_snapshot;
#[cfg(feature = "kv")]
#[cfg(test)]
mod kv_sqlite;
#[cfg(test)]
mod kv_watched;
#[cfg(test)]
mod listening;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod pgbouncer;
#[cfg(all(test, feature = "pool"))]
mod pool;
#[cfg(test)]
mod process;
#[cfg(test)]
mod quoting;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod together;
#[cfg(test)]
mod tracing;
#[cfg(test)]
mod transactions;
