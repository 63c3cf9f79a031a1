//! Exactly once: the program dies at every place where dying matters, and the flattened tables come out the same.

use std::collections::BTreeSet;

use tidegate_engine::crash::Site;

use crate::flatten_stage::FlattenStage;
use crate::ledger_stage::{on_stage, told};

/// The points that a part of the run passes, in order, each once.
pub(crate) async fn trace(stage: &FlattenStage, program: testkit::Program, code: i32) -> Vec<String> {
    let file = std::env::temp_dir().join(format!("trace-{}", stage.database.name()));
    let outcome = stage.call(&program.env("TIDEGATE_CRASH_TRACE", &file)).await;
    assert_eq!(outcome.code(), Some(code), "{}", told(&outcome));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut seen = BTreeSet::new();
    text.lines()
        .filter_map(|line| line.rsplit_once(':').map(|(point, _)| point.to_owned()))
        .filter(|point| seen.insert(point.clone()))
        .collect()
}

/// Behind a gate's COMMIT there are two places, and after a death at either the step is complete: one is taken. So it is
/// behind a command that the next attempt finds done, and behind the last event of a run.
fn reachable(points: &[String]) -> Vec<String> {
    let ended =
        |point| ["gate_committed:", "command_done:"].iter().find_map(|site| str::strip_prefix(point, *site));
    let complete: BTreeSet<&str> = points.iter().filter_map(|point| ended(point.as_str())).collect();
    let (outcome, finished) = (Site::Outcome.name(), Site::Finished.name());
    let last = points.iter().position(|point| point.starts_with(finished)).unwrap_or(points.len());
    points
        .iter()
        .take(last + 1)
        .filter(|point| {
            !point.split_once(':').is_some_and(|(site, step)| site == outcome && complete.contains(step))
        })
        .cloned()
        .collect()
}

pub(crate) async fn die_at_each(
    stage: &FlattenStage,
    program: &testkit::Program,
    points: &[String],
) -> usize {
    let points = reachable(points);
    for point in &points {
        let outcome = stage.call(&program.clone().env("TIDEGATE_CRASH", point)).await;
        assert_eq!(outcome.code(), None, "it must die at {point}: {}", told(&outcome));
    }
    points.len()
}

#[test]
fn the_flattening_survives_a_death_at_every_point_of_it() {
    on_stage(async {
        let whole = FlattenStage::new().await;
        let broken = whole.copy().await;
        whole.begin().await;
        // The last step before the health checks, which no server answers here, halts: also a place to die at.
        let points = trace(&whole, whole.run_program(), 3).await;
        let gates = points.iter().filter(|point| point.starts_with("gate_committed:")).count();
        assert!(gates >= 7, "{points:?}");
        let expected = whole.contents().await;
        assert_eq!(whole.version().await, "27");

        broken.begin().await;
        let deaths = die_at_each(&broken, &broken.run_program(), &points).await;
        broken.run_until_halted_at("service_knows_the_schema").await;
        assert!(deaths >= 60, "only {deaths} deaths");
        assert_eq!(broken.contents().await, expected);

        // And back.
        let back = |stage: &FlattenStage| {
            stage.with_parameters(&["rollback", "--to", "backup", "--undo", "--apply", "--actor", "alice"])
        };
        let points = trace(&whole, back(&whole), 7).await;
        let expected = whole.contents().await;
        let deaths = die_at_each(&broken, &back(&broken), &points).await;
        assert!(deaths >= 20, "only {deaths} deaths on the way back");
        let last = broken.call(&back(&broken)).await;
        assert!(matches!(last.code(), Some(7 | 2)), "{}", told(&last));
        assert_eq!(broken.contents().await, expected);
        assert_eq!(broken.version().await, "23");
    });
}
