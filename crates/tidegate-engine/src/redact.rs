//! Secrets taken out of every text that is written: raw, percent-encoded, base64-encoded.

use crate::event::Event;
use crate::outcome::Outcome;

/// Shorter secrets are not searched for: they would blank out half of every text. They are still never written
/// where a value is asked for by name.
const SECRET_BYTES_MIN: usize = 4;

/// What stands for a secret.
const MASK: &str = "‹redacted›";

/// Takes known secrets out of texts.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} texts)", self.needles.len())
    }
}

impl Redactor {
    /// Knows these secrets in all their forms.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles: Vec<String> = Vec::new();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN) {
            for form in forms(secret) {
                if !needles.contains(&form) {
                    needles.push(form);
                }
            }
        }
        // The longest first, so that no part of a longer one is left.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Self { needles }
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = text.replace(needle.as_str(), MASK);
            }
        }
        text
    }
}

/// Free texts of events: messages, summaries, notices, values. Names, counts and digests are kept as they are.
impl Redactor {
    /// Whether a secret stands in the text, in any form.
    #[must_use]
    pub fn finds_in(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| text.contains(needle.as_str()))
    }

    /// The events without secrets, as they may be journaled.
    #[must_use]
    pub fn events(&self, mut events: Vec<Event>) -> Vec<Event> {
        if !self.needles.is_empty() {
            events.iter_mut().for_each(|event| self.clean(event));
        }
        events
    }

    fn clean(&self, event: &mut Event) {
        match event {
            Event::StepDone { outcome, .. } => self.clean_outcome(outcome),
            Event::Adopted { outcome, reason, .. } => {
                self.clean_outcome(outcome);
                self.clean_text(reason);
            }
            Event::StepFailed { message, .. }
            | Event::Rechecked { message, .. }
            | Event::Halted { message, .. }
            | Event::WatchTripped { message, .. }
            | Event::SessionEnded { application: message, .. }
            | Event::DriftAccepted { reason: message, .. }
            | Event::Amended { reason: message, .. }
            | Event::Abandoned { reason: message, .. } => self.clean_text(message),
            Event::RequestTaken { refused, .. } => refused.iter_mut().for_each(|text| self.clean_text(text)),
            Event::KnobTurned { value, .. } => self.clean_text(value),
            Event::RunStarted { .. }
            | Event::Resumed { .. }
            | Event::StepStarted { .. }
            | Event::FlagsMoved { .. }
            | Event::Waiting { .. }
            | Event::Approved { .. }
            | Event::HoldServed { .. }
            | Event::WatchOpened { .. }
            | Event::WatchClosed { .. }
            | Event::RollbackStarted { .. }
            | Event::StepUndone { .. }
            | Event::RollbackEnded { .. }
            | Event::Finished {} => {}
        }
    }

    fn clean_outcome(&self, outcome: &mut Outcome) {
        self.clean_text(&mut outcome.summary);
        outcome.notices.iter_mut().for_each(|notice| self.clean_text(notice));
        let values = outcome.values.iter_mut().filter_map(|value| value.text.as_mut());
        values.for_each(|text| self.clean_text(text));
    }

    fn clean_text(&self, text: &mut String) {
        if self.finds_in(text) {
            *text = self.redact(text);
        }
    }
}

/// The password of a URL: as it is written, and as it is sent.
#[must_use]
pub fn secrets_of_url(url: &str) -> Vec<String> {
    let Some(written) = password_as_written(url) else { return Vec::new() };
    let sent = percent_decoded(&written).filter(|sent| *sent != written);
    std::iter::once(written).chain(sent).collect()
}

/// What stands between `user:` and `@` of a URL.
fn password_as_written(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password.to_owned())
}

/// The text that a percent-encoded one stands for; `None` if that is no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The forms in which a secret may turn up. Base64 depends on what stands before it, so all three alignments are known.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), crate::question::http::encode_in_url(secret)];
    forms.push(forms.get(1).map(|form| form.to_lowercase()).unwrap_or_default());
    let json = serde_json::Value::from(secret).to_string();
    forms.push(json.trim_matches('"').to_owned());
    for alignment in 0..3_usize {
        let mut bytes = vec![0_u8; alignment];
        bytes.extend_from_slice(secret.as_bytes());
        let encoded = base64(&bytes);
        let skip = [0, 2, 3].get(alignment).copied().unwrap_or(0);
        // The last group depends on what follows.
        let whole = bytes.len() / 3 * 4;
        if let Some(core) = encoded.get(skip..whole).filter(|core| core.len() >= SECRET_BYTES_MIN) {
            forms.push(core.to_owned());
            forms.push(core.replace('+', "-").replace('/', "_"));
        }
    }
    forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
    forms
}

/// RFC 4648 without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let index = bits >> (18 - 6 * place) & 63;
            let letter = usize::try_from(index).ok().and_then(|index| ALPHABET.get(index)).copied();
            encoded.push(char::from(letter.unwrap_or(b'A')));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_as_it_is_written_and_as_it_is_sent() {
        assert_eq!(
            secrets_of_url("redis://:p%40ss%2Fw%C3%B6rd@cache:6379/0"),
            ["p%40ss%2Fw%C3%B6rd", "p@ss/wörd"]
        );
        assert_eq!(secrets_of_url("postgres://a:plain@host/db"), ["plain"]);
        for encoded in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(secrets_of_url(&format!("redis://u:{encoded}@h")), [encoded]);
        }
        for url in ["sqlite:a:b@c.db", "redis://cache/0", "http://a@host/:x@y"] {
            assert_eq!(secrets_of_url(url), [""; 0], "{url}");
        }
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64(b"foob"), "Zm9vYg");
        assert_eq!(base64(b"fooba"), "Zm9vYmE");
    }

    #[test]
    fn free_texts_of_events_are_cleaned_and_names_are_not() {
        let redactor = Redactor::new(["started"]);
        let step = tidegate_runbook::Name::parse("started").unwrap();
        let failed = |message: &str| Event::StepFailed {
            step: step.clone(),
            attempt: 1,
            unknown: false,
            message: message.to_owned(),
            sqlstate: None,
        };
        assert_eq!(redactor.events(vec![failed("it started")]), [failed(&format!("it {MASK}"))]);
    }

    #[test]
    fn every_form_is_taken_out() {
        let secret = "pa ss/wörd+42";
        let redactor = Redactor::new([secret]);
        let percent = crate::question::http::encode_in_url(secret);
        for text in [secret.to_owned(), percent.clone(), percent.to_lowercase()] {
            assert_eq!(redactor.redact(&format!("x{text}y")), format!("x{MASK}y"));
        }
        for before in ["", "u:", "usr:", "user:"] {
            let encoded = base64(format!("{before}{secret}").as_bytes());
            assert!(redactor.redact(&encoded).contains(MASK), "{before:?} {encoded}");
        }
    }
}
