//! Tests of serving over real connections.

#[cfg(test)]
mod ending;
#[cfg(test)]
mod slow_heads;
#[cfg(test)]
mod stand;
