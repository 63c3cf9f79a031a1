//! The simulation can fail: it finds each of these planted faults.

use vfs_core::client::Mutation;

use super::run;
use super::server::ServerMutation;
use super::world::Planted;

/// Within how many seeds each must be found.
const SEEDS_MAX: u64 = 2_000;

#[test]
fn each_planted_fault_is_found_and_none_is_found_where_none_is_planted() {
    let planted: Vec<Planted> = Mutation::ALL
        .iter()
        .map(|mutation| Planted::Client(*mutation))
        .chain(ServerMutation::ALL.iter().map(|mutation| Planted::Server(*mutation)))
        .collect();
    assert!(planted.len() >= 25);
    let mut missed = Vec::new();
    println!("| planted | found at seed | as |\n|---|---|---|");
    for planted in planted {
        let found = (0..SEEDS_MAX).find_map(|seed| run(seed, Some(planted)).err().map(|why| (seed, why)));
        match found {
            Some((seed, why)) => {
                let why: String = why.chars().take(110).collect();
                println!("| {planted:?} | {seed} | {why} |");
                assert!(run(seed, None).is_ok(), "seed {seed} fails without a planted fault too");
            }
            None => missed.push(planted),
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}
