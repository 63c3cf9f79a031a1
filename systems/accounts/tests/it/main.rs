//! The accounts on real servers: migrations, both stores, the routes, the program.

#[cfg(test)]
mod archive;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod hazards;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod making_room;
#[cfg(test)]
mod migrating;
#[cfg(test)]
#[cfg(feature = "migrate")]
mod moving;
#[cfg(test)]
mod naming;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod pixbook;
#[cfg(test)]
#[cfg(feature = "migrate")]
mod platform_migrate;
#[cfg(test)]
mod program;
#[cfg(test)]
mod repeated_blocks;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod schema_file;
#[cfg(test)]
mod signing_in;
#[cfg(test)]
mod truth_table;
