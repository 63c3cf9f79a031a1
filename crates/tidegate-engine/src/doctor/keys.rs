//! Key-value stores that the page names: whether they can be asked.

use tidegate_runbook::StoreKind;

use crate::doctor::Diagnosis;
use crate::doors::{DoorError, Doors};
use crate::program::Program;

/// Asks each store for its clock.
pub(super) async fn examine(program: Option<&Program>, doors: &Doors, found: &mut Vec<Diagnosis>) {
    let stores = program.iter().flat_map(|program| &program.runbook.stores);
    for store in stores.filter(|store| store.kind == StoreKind::Kv) {
        let asked = match doors.keys(&store.name).await {
            Ok(keys) => keys.now().await.map_err(|error| doors.keys_failed(&store.name, &error)),
            // A store that only the page knows: the doors were made for another.
            Err(DoorError::Absent { .. }) => continue,
            Err(error) => Err(error),
        };
        if let Err(error) = asked {
            found.push(
                Diagnosis::problem("keys-unreachable", format!("store {}", store.name), error.to_string())
                    .next("Checks that read it are unknown until it answers: start it, or correct its url."),
            );
        }
    }
}
