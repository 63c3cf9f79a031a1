//! Integration tests of the rules of the file sync.

#[cfg(test)]
mod access;
#[cfg(test)]
mod attach;
#[cfg(test)]
mod client;
#[cfg(test)]
mod compaction;
#[cfg(test)]
mod crdt;
#[cfg(test)]
mod feed_replay;
#[cfg(test)]
mod guardrails;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod lcg;
#[cfg(test)]
mod model;
#[cfg(test)]
mod never_panics;
#[cfg(test)]
mod page_rules;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod rematerialization;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod simulation;
