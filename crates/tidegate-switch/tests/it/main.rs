//! An application that embeds a switch, against real servers.

#[cfg(test)]
mod application;
#[cfg(test)]
mod drained;
#[cfg(test)]
mod dual_write;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod lock_order;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod writing;
