//! Flag sets in real databases.

#[cfg(test)]
mod barrier;
#[cfg(test)]
mod declaring;
#[cfg(test)]
mod drained;
#[cfg(test)]
mod older;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod sets;
