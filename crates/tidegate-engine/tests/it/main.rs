//! The engine against real servers.

#[cfg(test)]
mod forward;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod ways_back;
#[cfg(test)]
mod stage_hand;
