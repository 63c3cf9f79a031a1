//! Integration tests of the runbook parser.

#[cfg(test)]
mod commonmark;
#[cfg(test)]
mod diagnostics_page;
#[cfg(test)]
mod good;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod never_panics;
#[cfg(test)]
mod reference_page;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod single_slips;
#[cfg(test)]
mod size;
