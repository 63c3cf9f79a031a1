//! Who still says `workspaceId`: counted by client in memory, and kept in the database every now and then.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tidegate_store::postgres::{Session, Type};

use crate::store::StoreError;

/// Clients that are told apart; further ones are counted together.
pub const CLIENTS_MAX: usize = 100;
/// Characters of a client's name.
const NAME_CHARS_MAX: usize = 80;
/// What further clients are called.
const OTHER: &str = "other";

/// Counts of aliased requests, by client.
#[derive(Debug, Default)]
pub struct AliasUses {
    counts: Mutex<BTreeMap<String, Count>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    all: u64,
    unsaved: u64,
}

impl AliasUses {
    /// Counts one aliased request.
    pub fn add(&self, client: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.contains_key(client) || counts.len() < CLIENTS_MAX;
        let count = counts.entry(if known { client } else { OTHER }.to_owned()).or_default();
        count.all = count.all.saturating_add(1);
        count.unsaved = count.unsaved.saturating_add(1);
    }

    /// Aliased requests since the start, by client.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(client, count)| (client.clone(), count.all)).collect()
    }

    /// Whether something was counted that is not in the database.
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().any(|count| count.unsaved > 0)
    }

    /// Adds what was counted to `account_alias_uses`. Where that table is not there yet it stays counted here.
    ///
    /// # Errors
    /// The database's; what was counted is kept for the next time.
    pub async fn save(&self, session: &Session) -> Result<(), StoreError> {
        let taken = self.take();
        let (clients, uses): (Vec<&str>, Vec<i64>) = taken
            .iter()
            .map(|(client, uses)| (client.as_str(), i64::try_from(*uses).unwrap_or(i64::MAX)))
            .unzip();
        if clients.is_empty() {
            return Ok(());
        }
        let sql = include_str!("sql/save_alias_uses.sql");
        let saved = session.execute(sql, &[(&clients, Type::TEXT_ARRAY), (&uses, Type::INT8_ARRAY)]).await;
        if saved.is_err() {
            self.give_back(&taken);
        }
        saved?;
        Ok(())
    }

    fn take(&self) -> Vec<(String, u64)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        for (client, count) in counts.iter_mut().filter(|(_, count)| count.unsaved > 0) {
            taken.push((client.clone(), std::mem::take(&mut count.unsaved)));
        }
        taken
    }

    fn give_back(&self, taken: &[(String, u64)]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (client, uses) in taken {
            if let Some(count) = counts.get_mut(client) {
                count.unsaved = count.unsaved.saturating_add(*uses);
            }
        }
    }
}

/// What a program calls itself: its own word for it, else the first word of its user agent.
#[must_use]
pub fn client_name(own: &str, user_agent: &str) -> String {
    let name = match own.trim() {
        "" => user_agent.split_whitespace().next().unwrap_or("unknown"),
        own => own,
    };
    let plain = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' };
    name.chars().take(NAME_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_beyond_the_bound_are_counted_together() {
        let uses = AliasUses::default();
        for number in 0..CLIENTS_MAX + 5 {
            uses.add(&format!("client-{number:03}"));
        }
        uses.add("client-000");
        let counts = uses.counts();
        assert_eq!(counts.len(), CLIENTS_MAX + 1);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), CLIENTS_MAX as u64 + 6);
        assert!(counts.contains(&("client-000".to_owned(), 2)) && counts.contains(&(OTHER.to_owned(), 5)));
        assert_eq!(uses.take().len(), CLIENTS_MAX + 1);
        assert!(!uses.is_unsaved());
    }

    #[test]
    fn a_client_is_named_by_itself_before_its_user_agent() {
        assert_eq!(client_name(" shop ", "curl/8 x"), "shop");
        assert_eq!(client_name("", "curl/8 x"), "curl/8");
        assert_eq!(client_name("", ""), "unknown");
        assert_eq!(client_name("a\"b\\c\u{7f}", ""), "a_b_c_");
    }
}
