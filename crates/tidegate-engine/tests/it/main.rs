//! The engine against real servers.

#[cfg(test)]
mod backup_restore;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod forward;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod leaves_nothing;
#[cfg(test)]
mod stage_hand;
#[cfg(test)]
mod watches;
#[cfg(test)]
mod ways_back;
