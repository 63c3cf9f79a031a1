//! The ledger's service at work, through the pooler, killed once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::ledger::keys::SigningKey;
use serde_json::{Value, json};
use testkit::{Port, Program, Running};
use tokio::sync::Mutex;

use crate::Error;
use crate::stage::Stage;
use crate::wire::{By, Request, Wire};

/// Tenants, callers of each, and debits of each caller.
const TENANTS: usize = 8;
const CALLERS: usize = 2;
const DEBITS: u64 = 250;
/// What each tenant begins with, in micro-dollars; more than all of it is asked for.
const CREDIT: u64 = 400_000;
/// What the first debit takes; each next one more.
const FIRST: u64 = 100;
/// Debits after which the service is killed.
const KILLED_AFTER: u64 = 1_000;
/// How long anything may take.
const BOUND: Duration = Duration::from_secs(60);

/// A service, and who may ask it.
pub(super) struct Service {
    program: Program,
    running: Running,
    pub(super) address: SocketAddr,
    token: String,
    _port: Port,
}

/// What came of the load.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) acknowledged: BTreeSet<String>,
    pub(super) refused: u64,
    pub(super) asked_again: u64,
    pub(super) took: Duration,
}

impl Service {
    /// Starts it behind the pooler, with a key that was published.
    pub(super) async fn start(ledger: &Path, stage: &Stage) -> Result<Service, Error> {
        let port = Port::reserve()?;
        let program = Program::new(ledger)
            .env("DATABASE_URL", stage.pooled_url())
            .env("DATABASE_SYSTEM_URL", stage.system_url())
            .env("PORT", port.number().to_string());
        let key =
            SigningKey::generate().map_err(|_| Error::Task("making a key did not end well".to_owned()))?;
        let file = stage.backups().join("signing.key");
        std::fs::write(&file, key.text()).map_err(Error::file("write", &file))?;
        let publish = ["keys", "publish", "--kid", "demo", "--issuer", "freeside", "--key"];
        let published = program.clone().args(publish).arg(&file).run(BOUND).await?;
        let claims = json!({
            "iss": "freeside", "aud": "ledger", "community": "*", "exp": 4_000_000_000_i64,
        });
        let token = key
            .sign("demo", &claims)
            .map_err(|_| Error::Task("signing a token did not end well".to_owned()))?;
        if published.code() != Some(0) {
            return Err(Error::Task("publishing a key did not end well".to_owned()));
        }
        let running = serve(&program).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        Ok(Service { program, running, address, token, _port: port })
    }

    /// Debits from all sides, of which one is refused here and there; the service is killed in the middle, and whoever
    /// got no answer asks again with the same key.
    pub(super) async fn load(&mut self) -> Result<Load, Error> {
        let began = Instant::now();
        let load = Arc::new(Mutex::new(Load::default()));
        let (done, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut callers = Vec::new();
        for tenant in 0..TENANTS {
            let mut wire = Wire::to(self.address);
            let path = format!("/v1/communities/{}/lots", community(tenant));
            let body = json!({ "key": "demo", "source": "grant", "amountMicro": CREDIT }).to_string();
            ask(&mut wire, &self.token, &path, &body)
                .await
                .ok_or(Error::Task("giving credit did not end well".to_owned()))?;
            for caller in 0..CALLERS {
                let (address, token) = (self.address, self.token.clone());
                let (load, done, ended) = (load.clone(), done.clone(), ended.clone());
                callers.push(tokio::spawn(async move {
                    let mut wire = Wire::to(address);
                    let path = format!("/v1/communities/{}/debits", community(tenant));
                    for number in 0..DEBITS {
                        let key = format!("{tenant}-{caller}-{number}");
                        let body =
                            json!({ "key": key, "amountMicro": FIRST + number * 13 % 2_000 }).to_string();
                        loop {
                            match ask(&mut wire, &token, &path, &body).await {
                                Some((200, _)) => {
                                    load.lock().await.acknowledged.insert(key);
                                }
                                Some((402, _)) => load.lock().await.refused += 1,
                                _ if ended.load(Ordering::SeqCst) => return,
                                _ => {
                                    load.lock().await.asked_again += 1;
                                    tokio::time::sleep(Duration::from_millis(20)).await;
                                    continue;
                                }
                            }
                            break;
                        }
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                }));
            }
        }
        testkit::eventually("the service is at work", BOUND, async || {
            (done.load(Ordering::SeqCst) >= KILLED_AFTER).then_some(())
        })
        .await?;
        self.running.kill()?;
        self.running = serve_again(&self.program).await?;
        for caller in callers {
            let ends = tokio::time::timeout(BOUND, caller).await;
            ended.store(ends.is_err(), Ordering::SeqCst);
            ends.map_err(|_| Error::Task("a caller did not end well".to_owned()))?
                .map_err(|_| Error::Task("a caller did not end well".to_owned()))?;
        }
        let mut load = std::mem::take(&mut *load.lock().await);
        load.took = began.elapsed();
        Ok(load)
    }

    /// What `ledger verify` says, and whether it ended well.
    pub(super) async fn verify(&self) -> Result<(bool, String), Error> {
        let outcome = self.program.clone().arg("verify").run(BOUND).await?;
        Ok((outcome.code() == Some(0), format!("{}{}", outcome.stdout, outcome.stderr)))
    }
}

async fn serve(program: &Program) -> Result<Running, Error> {
    let running = program.clone().arg("serve").start()?;
    running.until_stdout("listening on http://", BOUND).await?;
    Ok(running)
}

/// As [`serve`], where the port of one that was killed may not be free yet.
async fn serve_again(program: &Program) -> Result<Running, Error> {
    testkit::eventually("the service is back", BOUND, async || {
        let running = program.clone().arg("serve").start().ok()?;
        running.until_stdout("listening on http://", Duration::from_secs(5)).await.ok()?;
        Some(running)
    })
    .await
    .map_err(Error::from)
}

fn community(tenant: usize) -> String {
    format!("de30de30-0000-4000-8000-{tenant:012}")
}

async fn ask(wire: &mut Wire, token: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let answer = wire.ask(Request { method: "POST", path, by: By::Bearer(token), body }).await.ok()?;
    Some((answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null)))
}
