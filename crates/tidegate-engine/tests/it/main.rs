//! The engine against real servers.

#[cfg(test)]
mod adopting;
#[cfg(test)]
mod backfills;
#[cfg(test)]
mod backup_restore;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod cohorts;
#[cfg(test)]
mod compares;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod deciding;
#[cfg(test)]
mod doctoring;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod filling;
#[cfg(test)]
mod foldable;
#[cfg(test)]
mod forward;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod halts;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod keys_put_back;
#[cfg(test)]
mod lacking;
#[cfg(test)]
mod leaves_nothing;
#[cfg(test)]
mod left_standing;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod pooled;
#[cfg(test)]
mod recounting;
#[cfg(test)]
mod rekeying;
#[cfg(test)]
mod shelf;
#[cfg(test)]
mod stage_hand;
#[cfg(test)]
mod throttles;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod watches;
#[cfg(test)]
mod ways_back;
