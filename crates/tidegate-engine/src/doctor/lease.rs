//! The lease: who holds it, and whether that one lives. Backends of holders before.

use tidegate_store::postgres::{Failure, sessions};

use crate::doctor::{Diagnosis, Patient};
use crate::lease;

pub(super) async fn examine(patient: &Patient<'_>, found: &mut Vec<Diagnosis>) -> Result<(), Failure> {
    let info = lease::read(patient.session).await?;
    let alive = match &info.holder {
        None => false,
        Some(holder) if holder.gone => {
            found.push(
                Diagnosis::problem(
                    "lease-holder-gone",
                    "lease",
                    format!("{holder}; that process is not there any more"),
                )
                .next("tidegate run takes the lease at once, ends what it left running, and goes on"),
            );
            false
        }
        Some(holder) if holder.left.is_zero() => {
            found.push(
                Diagnosis::problem(
                    "lease-expired",
                    "lease",
                    format!("{holder}; it gave no sign of life in time"),
                )
                .next("tidegate run takes the lease, ends what it left running, and goes on"),
            );
            false
        }
        Some(holder) => {
            found.push(
                Diagnosis::note("lease-held", "lease", holder.to_string())
                    .next("tidegate stop --actor NAME asks that runner to halt"),
            );
            true
        }
    };
    for backend in sessions::of_this_database(patient.session).await? {
        let Some(epoch) = backend.application_name.as_deref().and_then(epoch_of) else { continue };
        if epoch == 0 || (epoch == info.epoch && alive) || epoch > info.epoch {
            continue;
        }
        found.push(
            Diagnosis::problem(
                "backend-of-old-epoch",
                format!("process {}", backend.pid),
                format!(
                    "{}; its runner is gone, and what it runs may still commit what needs no lease",
                    crate::sessions::describe(&backend)
                ),
            )
            .next("tidegate run ends it before it goes on")
            .next(format!("SELECT pg_terminate_backend({});", backend.pid)),
        );
    }
    Ok(())
}

/// The epoch in `tidegate/<epoch>/<step>`.
fn epoch_of(application: &str) -> Option<u64> {
    application.strip_prefix("tidegate/")?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_read_from_the_application_name() {
        assert_eq!(epoch_of("tidegate/12/m0009"), Some(12));
        assert_eq!(epoch_of("tidegate/doctor"), None);
        assert_eq!(epoch_of("psql"), None);
    }
}
