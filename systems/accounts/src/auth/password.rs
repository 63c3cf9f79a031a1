//! Passwords are kept as argon2id hashes, made by a bounded number of threads.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// Passwords that are hashed at the same time; others wait.
const AT_ONCE: usize = 4;
/// Requests that may wait for that; one more is told to come again.
const WAITING_MAX: usize = 64;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl HashCost {
    /// What a service should use: 19 MiB and two passes.
    pub const DEFAULT: HashCost = HashCost { memory_kib: 19_456, passes: 2 };
    /// The least there is: for tests and demonstrations, never for people's passwords.
    pub const LEAST: HashCost = HashCost { memory_kib: 8, passes: 1 };

    /// Reads `memory_kib,passes`.
    #[must_use]
    pub fn read(text: &str) -> Option<HashCost> {
        let (memory, passes) = text.trim().split_once(',')?;
        let cost = HashCost { memory_kib: memory.trim().parse().ok()?, passes: passes.trim().parse().ok()? };
        Params::new(cost.memory_kib, cost.passes, 1, None).ok().map(|_| cost)
    }
}

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many others wait.
    #[error("too many sign-ins wait; try again in a moment")]
    Busy,
    /// The hash could not be made or read.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

/// Makes and compares hashes.
#[derive(Debug)]
pub struct Passwords {
    cost: HashCost,
    threads: Semaphore,
    seats: Semaphore,
    /// Compared where there is no such person, so that the answer takes as long.
    nobody: String,
}

impl Passwords {
    /// With what each hash costs from now on; older hashes say themselves what they cost.
    ///
    /// # Errors
    /// When the cost is not possible or the system gives no random bits.
    pub fn new(cost: HashCost) -> Result<Passwords, HashError> {
        let nobody = hash(cost, "nobody's password")?;
        Ok(Passwords {
            cost,
            threads: Semaphore::new(AT_ONCE),
            seats: Semaphore::new(AT_ONCE + WAITING_MAX),
            nobody,
        })
    }

    /// The hash of a password, as a PHC string.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        let cost = self.cost;
        self.apart(move || hash(cost, &password)).await
    }

    /// Whether a password is the one of a hash; `None`: there is nobody, and the answer is no.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn matches(&self, password: String, known: Option<String>) -> Result<bool, HashError> {
        let exists = known.is_some();
        let known = known.unwrap_or_else(|| self.nobody.clone());
        let same = self.apart(move || matches(&password, &known)).await?;
        Ok(same && exists)
    }

    /// On a thread of its own, few at a time: a hash takes long and much memory.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let _seat = self.seats.try_acquire().map_err(|_| HashError::Busy)?;
        let _thread = self.threads.acquire().await.map_err(|_| HashError::Busy)?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| HashError::Failed(error.to_string()))?
    }
}

fn hash(cost: HashCost, password: &str) -> Result<String, HashError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| HashError::Failed(error.to_string()))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| HashError::Failed(error.to_string()))?;
    let params = Params::new(cost.memory_kib, cost.passes, 1, None)
        .map_err(|error| HashError::Failed(error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = argon2.hash_password(password.as_bytes(), &salt);
    hashed.map(|hash| hash.to_string()).map_err(|error| HashError::Failed(error.to_string()))
}

fn matches(password: &str, known: &str) -> Result<bool, HashError> {
    let known = PasswordHash::new(known).map_err(|error| HashError::Failed(error.to_string()))?;
    match Argon2::default().verify_password(password.as_bytes(), &known) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(HashError::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is() {
        let passwords = Passwords::new(HashCost::LEAST).unwrap();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(passwords.matches("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.matches("correct horsf".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.matches("nobody's password".to_owned(), None).await.unwrap());
    }

    #[test]
    fn a_cost_is_read_or_refused() {
        assert_eq!(HashCost::read("19456, 2"), Some(HashCost::DEFAULT));
        for bad in ["", "1", "0,0", "8,0", "-8,1", "8,1,1"] {
            assert_eq!(HashCost::read(bad), None, "{bad}");
        }
    }
}
