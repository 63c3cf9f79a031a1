//! The demonstrations as programs.

#[cfg(test)]
mod accounts;
mod vfs;
