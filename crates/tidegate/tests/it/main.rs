//! The program against real servers.

#[cfg(test)]
mod ledger_crash;
#[cfg(test)]
mod ledger_partial;
#[cfg(test)]
mod ledger_stage;
#[cfg(test)]
mod ledger_undo;
#[cfg(test)]
mod ledger_whole;
#[cfg(test)]
mod two_runners;
