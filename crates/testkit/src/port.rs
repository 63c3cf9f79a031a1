//! Ports that no other test process takes, also between a stop and a start.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use crate::{Error, scratch};

/// Below the range from which the kernel takes ports for outgoing connections.
const FIRST: u16 = 20_000;
/// Last port of the range.
const LAST: u16 = 31_999;

/// A TCP port on 127.0.0.1 that is reserved as long as this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // The lock on this file is the reservation; the kernel releases it when we die.
    _reservation: File,
}

impl Port {
    /// Reserves a port that nobody listens on.
    ///
    /// # Errors
    /// [`Error::NoPort`] when all are taken.
    pub fn reserve() -> Result<Self, Error> {
        let directory = scratch::shared()?.join("ports");
        std::fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let range = u32::from(LAST - FIRST) + 1;
        let start = std::process::id().wrapping_mul(7919).wrapping_add(scratch::next_number() as u32);
        for step in 0..range {
            let offset = start.wrapping_add(step) % range;
            let number = FIRST + u16::try_from(offset).unwrap_or(0);
            let path = directory.join(number.to_string());
            let file = File::create(&path).map_err(Error::file("make", &path))?;
            if file.try_lock().is_err() {
                continue;
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _reservation: file });
            }
        }
        Err(Error::NoPort { first: FIRST, last: LAST })
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}
