//! The demonstrations as programs.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod trips;
#[cfg(test)]
mod vfs;
