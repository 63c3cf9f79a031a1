//! Keys moved in real stores.

#[cfg(test)]
mod cleaning;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod giving_way;
#[cfg(test)]
mod in_place;
#[cfg(test)]
mod judged;
#[cfg(test)]
mod newer;
#[cfg(test)]
mod overlaps;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod watched;
#[cfg(test)]
mod world;
