//! The program against real servers.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod checking;
#[cfg(test)]
mod cohort_crash;
#[cfg(test)]
mod copy_crash;
#[cfg(test)]
mod exit_codes;
#[cfg(test)]
mod flatten_back;
#[cfg(test)]
mod flatten_crash;
#[cfg(test)]
mod flatten_halts;
#[cfg(test)]
mod flatten_served;
#[cfg(test)]
mod flatten_stage;
#[cfg(test)]
mod flatten_whole;
#[cfg(test)]
mod going_back;
#[cfg(test)]
mod going_forward;
#[cfg(test)]
mod json;
#[cfg(test)]
mod keys_crash;
#[cfg(test)]
mod keys_page;
#[cfg(test)]
mod lacks_nothing;
#[cfg(test)]
mod ledger_crash;
#[cfg(test)]
mod ledger_partial;
#[cfg(test)]
mod ledger_sessions;
#[cfg(test)]
mod ledger_stage;
#[cfg(test)]
mod ledger_undo;
#[cfg(test)]
mod ledger_whole;
#[cfg(test)]
mod manual;
#[cfg(test)]
mod own_table;
#[cfg(test)]
mod promised_endings;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod small_page;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod told;
#[cfg(test)]
mod two_runners;
