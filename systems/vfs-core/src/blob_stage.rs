//! A staged blob, from staged to attached or abandoned.

use thiserror::Error;

use crate::id::ItemId;
use crate::operation::word;
use crate::timestamp::Timestamp;

/// What the tag of a stage begins with.
pub const STAGE_TAG: &str = "blob-stage:";

/// What the tag of a link between an item and a blob begins with.
pub const LINK_TAG: &str = "blob-link:";

word! {
    /// As what a blob is attached.
    RelationKind {
        /// The bytes of a file.
        File = "file",
        /// An attachment of an email.
        EmailAttachment = "emailAttachment",
        /// A photo.
        Photo = "photo",
        /// Anything else.
        Other = "other",
    }
}

impl RelationKind {
    /// The tag of its link.
    #[must_use]
    pub fn tag(self) -> String {
        format!("{LINK_TAG}{self}")
    }

    /// Reads the tag of a link; `None`: it is another.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        Self::parse(tag.strip_prefix(LINK_TAG)?)
    }
}

word! {
    /// How far a stage is, as its tag says.
    StageStatus {
        /// It may be attached or abandoned.
        Staged = "staged",
        /// It is attached, for ever.
        Attached = "attached",
        /// It is abandoned, for ever.
        Abandoned = "abandoned",
        /// Its tag is none of a stage.
        Invalid = "invalid",
    }
}

impl StageStatus {
    /// Reads the tag of a stage; any other text is [`StageStatus::Invalid`].
    #[must_use]
    pub fn of_tag(tag: &str) -> Self {
        tag.strip_prefix(STAGE_TAG).and_then(Self::parse).unwrap_or(Self::Invalid)
    }

    /// Its tag.
    #[must_use]
    pub fn tag(self) -> String {
        format!("{STAGE_TAG}{self}")
    }
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobStage {
    /// It waits.
    Staged {
        /// Until when it may be attached; not at that moment any more.
        expires_at: Timestamp,
    },
    /// It is attached.
    Attached {
        /// When.
        attached_at: Timestamp,
        /// To what.
        item_id: ItemId,
    },
    /// It is abandoned.
    Abandoned {
        /// When.
        abandoned_at: Timestamp,
    },
}

/// What may happen to a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageEvent {
    /// It is attached to an item.
    Attach {
        /// Which.
        item_id: ItemId,
        /// Now.
        at: Timestamp,
    },
    /// It is abandoned by its owner. Whether it has expired does not matter.
    Abandon {
        /// Now.
        at: Timestamp,
    },
    /// It is swept, if it has expired.
    Sweep {
        /// Now.
        at: Timestamp,
    },
}

/// Why something may not happen to a stage. The texts are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StageError {
    /// It is attached or abandoned.
    #[error("Blob staging is no longer attachable")]
    NotAttachable,
    /// Its time is over.
    #[error("Blob staging has expired")]
    Expired,
    /// It is attached or abandoned.
    #[error("Blob staging is no longer abandonable")]
    NotAbandonable,
    /// It has not expired.
    #[error("Blob staging has not expired")]
    NotExpired,
}

impl BlobStage {
    /// How far it is.
    #[must_use]
    pub const fn status(&self) -> StageStatus {
        match self {
            Self::Staged { .. } => StageStatus::Staged,
            Self::Attached { .. } => StageStatus::Attached,
            Self::Abandoned { .. } => StageStatus::Abandoned,
        }
    }

    /// The stage after something has happened to it. Nothing happens twice: what is attached or abandoned stays so.
    ///
    /// # Errors
    /// Why it may not happen.
    pub fn next(self, event: StageEvent) -> Result<Self, StageError> {
        match (self, event) {
            (Self::Staged { expires_at }, StageEvent::Attach { item_id, at }) => {
                if expires_at <= at {
                    return Err(StageError::Expired);
                }
                Ok(Self::Attached { attached_at: at, item_id })
            }
            (Self::Staged { .. }, StageEvent::Abandon { at }) => Ok(Self::Abandoned { abandoned_at: at }),
            (Self::Staged { expires_at }, StageEvent::Sweep { at }) => {
                if expires_at > at {
                    return Err(StageError::NotExpired);
                }
                Ok(Self::Abandoned { abandoned_at: at })
            }
            (_, StageEvent::Attach { .. }) => Err(StageError::NotAttachable),
            (_, StageEvent::Abandon { .. } | StageEvent::Sweep { .. }) => Err(StageError::NotAbandonable),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    fn item() -> ItemId {
        ItemId::parse("item").unwrap()
    }

    #[test]
    fn a_stage_expires_at_its_moment() {
        let stage = BlobStage::Staged { expires_at: at(10) };
        let attach = |millisecond| StageEvent::Attach { item_id: item(), at: at(millisecond) };
        assert_eq!(stage.clone().next(attach(9)).unwrap().status(), StageStatus::Attached);
        assert_eq!(stage.clone().next(attach(10)), Err(StageError::Expired));
        assert_eq!(stage.clone().next(StageEvent::Sweep { at: at(9) }), Err(StageError::NotExpired));
        assert_eq!(
            stage.clone().next(StageEvent::Sweep { at: at(10) }).unwrap().status(),
            StageStatus::Abandoned
        );
        assert_eq!(stage.next(StageEvent::Abandon { at: at(11) }).unwrap().status(), StageStatus::Abandoned);
    }

    #[test]
    fn tags_are_read_and_every_other_is_invalid() {
        for status in [StageStatus::Staged, StageStatus::Attached, StageStatus::Abandoned] {
            assert_eq!(StageStatus::of_tag(&status.tag()), status);
        }
        for tag in ["", "staged", "blob-stage:", "blob-stage:Staged", "blob-link:file", "blob-stage:invalid"]
        {
            assert_eq!(StageStatus::of_tag(tag), StageStatus::Invalid, "{tag}");
        }
        for kind in RelationKind::ALL {
            assert_eq!(RelationKind::of_tag(&kind.tag()), Some(*kind));
        }
        assert_eq!(RelationKind::of_tag("file"), None);
    }

    fn events() -> impl Strategy<Value = StageEvent> {
        (0_i64..20, 0..3).prop_map(|(millisecond, kind)| match kind {
            0 => StageEvent::Attach { item_id: item(), at: at(millisecond) },
            1 => StageEvent::Abandon { at: at(millisecond) },
            _ => StageEvent::Sweep { at: at(millisecond) },
        })
    }

    proptest! {
        #[test]
        fn whatever_is_tried_one_thing_happens_at_most(tried in prop::collection::vec(events(), 0..12)) {
            let mut stage = BlobStage::Staged { expires_at: at(10) };
            let mut happened = 0;
            for event in tried {
                if let Ok(next) = stage.clone().next(event) {
                    happened += 1;
                    stage = next;
                }
            }
            prop_assert!(happened <= 1);
            prop_assert_eq!(happened == 0, stage.status() == StageStatus::Staged);
        }
    }
}
