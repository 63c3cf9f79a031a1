//! Integration tests of the runbook parser.

mod commonmark;
mod diagnostics_page;
mod good;
mod malformed;
mod meaning;
mod never_panics;
mod scenario;
mod size;
