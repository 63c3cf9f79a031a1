//! Places where a test may end the process.
//!
//! `VFS_CRASH=site:occurrence` aborts the process the n-th time that a site is reached.

use std::sync::atomic::{AtomicU64, Ordering};

static REACHED: AtomicU64 = AtomicU64::new(0);

/// Says that a site was reached.
pub(crate) fn reached(site: &str) {
    let Ok(wanted) = std::env::var("VFS_CRASH") else { return };
    let Some((name, occurrence)) = wanted.split_once(':') else { return };
    if name != site {
        return;
    }
    let count = REACHED.fetch_add(1, Ordering::SeqCst) + 1;
    if occurrence.parse() == Ok(count) {
        std::process::abort();
    }
}
