//! What a tenant has, and the lots that it consists of, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tidegate_store::postgres::Type;
use uuid::Uuid;

use crate::operations::{Ledger, LedgerError, Parameter};

/// Lots of one page, unless its caller says otherwise; and at most.
pub const LOTS: i64 = 100;
/// The longest page, in lots.
pub const LOTS_MAX: i64 = 500;

/// Between the parts of a place. None of them has it.
const SEPARATOR: char = '~';

/// A place between two lots in the order of their spending: behind a lot, as it stood when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    spend_by: String,
    minted_at: String,
    lot: Uuid,
}

impl Place {
    /// The place before all lots.
    #[must_use]
    pub fn first() -> Place {
        Place { spend_by: "-infinity".to_owned(), minted_at: "-infinity".to_owned(), lot: Uuid::nil() }
    }

    /// Reads what [`Place::text`] wrote; `None`: it did not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Place> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = plain.split(SEPARATOR);
        let (spend_by, minted_at, lot) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !is_moment(spend_by) || !is_moment(minted_at) {
            return None;
        }
        let lot = lot.parse().ok()?;
        Some(Place { spend_by: spend_by.to_owned(), minted_at: minted_at.to_owned(), lot })
    }

    /// As one word that can stand in a URL.
    #[must_use]
    pub fn text(&self) -> String {
        let Place { spend_by, minted_at, lot } = self;
        URL_SAFE_NO_PAD.encode(format!("{spend_by}{SEPARATOR}{minted_at}{SEPARATOR}{lot}"))
    }

    /// Reads the three parts as the database says them.
    fn read(parts: &Value) -> Option<Place> {
        let text = |at: usize| parts.get(at).and_then(Value::as_str);
        let lot = text(2)?.parse().ok()?;
        Some(Place { spend_by: text(0)?.to_owned(), minted_at: text(1)?.to_owned(), lot })
    }
}

/// Whether the database takes a text for a moment.
fn is_moment(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity") || text.parse::<jiff::Timestamp>().is_ok()
}

impl Ledger {
    /// What a tenant has: spendable, set aside, and the first [`LOTS`] of its lots.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn balance(&self, community: Uuid) -> Result<Value, LedgerError> {
        self.balance_from(community, &Place::first(), LOTS).await
    }

    /// What a tenant has, always whole, and those of its lots of which something is left that stand behind a place in the
    /// order of spending, at most [`LOTS_MAX`]. `next` says where the next page begins; null: there is none.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn balance_from(
        &self,
        community: Uuid,
        after: &Place,
        limit: i64,
    ) -> Result<Value, LedgerError> {
        let limit = limit.clamp(1, LOTS_MAX);
        let parameters: [Parameter<'_>; 5] = [
            (&community, Type::UUID),
            (&after.spend_by, Type::TEXT),
            (&after.minted_at, Type::TEXT),
            (&after.lot, Type::UUID),
            (&limit, Type::INT8),
        ];
        let sql = include_str!("sql/balance.sql");
        let mut balance = self.json_of_tenant("balance", community, sql, &parameters).await?;
        if let Some(next) = balance.get_mut("next").filter(|next| !next.is_null()) {
            let place = Place::read(next).ok_or_else(|| LedgerError::Answer(next.to_string()))?;
            *next = place.text().into();
        }
        Ok(balance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
        for spend_by in ["infinity", "-infinity", "2026-11-28T02:16:28.123456+00:00"] {
            let place = Place {
                spend_by: spend_by.to_owned(),
                minted_at: "2026-11-28T02:16:28+00:00".to_owned(),
                lot: Uuid::from_u128(7),
            };
            assert_eq!(Place::parse(&place.text()), Some(place));
        }
        assert_eq!(Place::parse(&Place::first().text()), Some(Place::first()));
        let lot = Uuid::nil();
        for plain in [
            String::new(),
            "infinity~infinity".to_owned(),
            format!("infinity~now~{lot}"),
            format!("infinity~'~{lot}"),
            format!("infinity~infinity~{lot}~"),
            "infinity~infinity~lot".to_owned(),
        ] {
            assert_eq!(Place::parse(&URL_SAFE_NO_PAD.encode(&plain)), None, "{plain}");
        }
        assert_eq!(Place::parse("infinity~infinity~"), None);
        assert_eq!(Place::parse(&lot.to_string()), None);
    }
}
