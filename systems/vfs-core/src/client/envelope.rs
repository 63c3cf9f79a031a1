//! What goes along with an operation encrypted.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::id::{WriteId, trimmed};

/// An encrypted payload and what is needed to open it; every text is base64, none of them is looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The payload; `None`: nothing goes along.
    pub encrypted_payload: Option<String>,
    /// Of which key, 1 and up.
    pub key_epoch: Option<u64>,
    /// Nonce.
    pub encryption_nonce: Option<String>,
    /// Additional data.
    pub encryption_aad: Option<String>,
    /// Signature.
    pub encryption_signature: Option<String>,
}

/// Why it cannot go along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// A payload that is blank.
    #[error("encryptedPayload must be a non-empty string")]
    Payload,
    /// A payload without the epoch of its key.
    #[error("keyEpoch is required when encryptedPayload is provided")]
    KeyEpoch,
}

/// What is wrong with the fields of an exported one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EnvelopeFieldError {
    Payload,
    KeyEpoch,
}

const TEXTS: [&str; 3] = ["encryptionNonce", "encryptionAad", "encryptionSignature"];

impl Envelope {
    pub(super) fn check(&self) -> Result<(), EnvelopeError> {
        let Some(payload) = &self.encrypted_payload else { return Ok(()) };
        if trimmed(payload).is_empty() {
            return Err(EnvelopeError::Payload);
        }
        match self.key_epoch {
            Some(epoch) if WriteId::new(epoch).is_ok() => Ok(()),
            _ => Err(EnvelopeError::KeyEpoch),
        }
    }

    pub(super) fn write(&self, fields: &mut Map<String, Value>) {
        let Some(payload) = &self.encrypted_payload else { return };
        fields.insert("encryptedPayload".to_owned(), Value::from(payload.clone()));
        if let Some(epoch) = self.key_epoch {
            fields.insert("keyEpoch".to_owned(), Value::from(epoch));
        }
        let texts = [&self.encryption_nonce, &self.encryption_aad, &self.encryption_signature];
        for (name, text) in TEXTS.into_iter().zip(texts) {
            if let Some(text) = text {
                fields.insert(name.to_owned(), Value::from(text.clone()));
            }
        }
    }

    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, EnvelopeFieldError> {
        let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let Some(payload) = field("encryptedPayload") else { return Ok(Self::default()) };
        let payload = payload.as_str().filter(|text| !trimmed(text).is_empty());
        let encrypted_payload = Some(payload.ok_or(EnvelopeFieldError::Payload)?.to_owned());
        let epoch = field("keyEpoch").and_then(WriteId::from_value).ok_or(EnvelopeFieldError::KeyEpoch)?;
        let text = |name: &str| match field(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(EnvelopeFieldError::Payload),
        };
        let [nonce, aad, signature] = TEXTS.map(text);
        Ok(Self {
            encrypted_payload,
            key_epoch: Some(epoch.get()),
            encryption_nonce: nonce?,
            encryption_aad: aad?,
            encryption_signature: signature?,
        })
    }
}
