//! The client, against real servers on a real PostgreSQL and a real S3 endpoint.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod catching_up;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod end_to_end;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod triage;
