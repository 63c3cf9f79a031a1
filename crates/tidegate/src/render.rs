//! How results are shown: text for people, JSON for programs. Nothing here decides anything.

pub(crate) mod advice;
pub(crate) mod back;
pub(crate) mod check;
pub(crate) mod diagnostics;
pub(crate) mod ending;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod loss;
pub(crate) mod plan;
pub(crate) mod span;
pub(crate) mod status;
pub(crate) mod table;
