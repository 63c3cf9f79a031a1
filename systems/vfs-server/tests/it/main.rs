//! The server on a real database: routes, order, freezes, the program, the flattening.

#[cfg(test)]
mod as_modelled;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod blob;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod compacting;
#[cfg(test)]
mod far_behind;
#[cfg(test)]
mod feed_order;
#[cfg(test)]
mod flattened;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod guardrails;
#[cfg(test)]
mod held_writes;
#[cfg(test)]
mod items;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod legacy_ground;
#[cfg(test)]
mod live_events;
#[cfg(test)]
mod migrate_command;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod page;
#[cfg(test)]
mod pulled_bytes;
#[cfg(test)]
mod push_lanes;
#[cfg(test)]
mod push_routes;
#[cfg(test)]
mod retired_names;
#[cfg(test)]
mod schema_file;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod signing_in;
