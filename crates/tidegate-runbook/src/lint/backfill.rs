//! `reads-uncompared`: a row that a backfill joins may have changed since, so a comparison must look at what came of it.

use super::body::{Place, Scope};
use super::warning;
use crate::diagnostic::Diagnostic;
use crate::sql_effect::may_be_same;
use crate::step::{Action, Step};

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    let Action::Backfill(backfill) = &scope.step.action else { return };
    let Some(target) = backfill.body.effect.writes.first().filter(|_| !backfill.reads.is_empty()) else {
        return;
    };
    let compares = |step: &Step| match &step.action {
        Action::Compare(compare) => {
            let mut read = compare.left.effect.reads.iter().chain(&compare.right.effect.reads);
            read.any(|read| may_be_same(read, target))
        }
        _ => false,
    };
    let below = |steps: &mut dyn Iterator<Item = &Step>| {
        steps.skip_while(|step| step.id != scope.step.id).any(compares)
    };
    let compared = match scope.place {
        Place::Stage(_) => below(&mut scope.runbook.steps().map(|(_, step)| step)),
        Place::Way(way) => below(&mut way.steps.iter()),
    };
    if !compared {
        found.push(warning(
            "reads-uncompared",
            scope.step.head.clone(),
            format!(
                "the backfill reads {} beside `chunk`, and no comparison below looks at {target}",
                backfill.reads.join(", ")
            ),
            "let a `@compare` follow that reads the target, or waive this with the reason",
        ));
    }
}
