//! The kit's own tests, against real servers.

mod cluster;
mod leftovers;
mod program;
