//! The instances of a service: real processes, each on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Port, Program, Running, eventually};

use crate::Error;
use crate::wire::{By, Request, Wire};

/// How long an instance may take to start, or to end.
const BOUND: Duration = Duration::from_secs(30);
/// The lowest status that is no success.
const NO_SUCCESS: u16 = 300;

/// What an instance's environment says: of its number, from 0, and where it listens.
type Environment = Box<dyn Fn(usize, SocketAddr) -> Vec<(&'static str, String)> + Send + Sync>;

/// The instances of a service.
pub(crate) struct Fleet {
    program: PathBuf,
    environment: Environment,
    instances: Vec<Instance>,
}

#[derive(Debug)]
struct Instance {
    port: Port,
    running: Running,
}

impl Fleet {
    /// Starts this many of a program that takes `serve`, the port in `PORT` and a name in `INSTANCE_NAME`, says
    /// `listening on`, and answers `/readyz`.
    pub(crate) async fn start(
        program: &Path,
        count: usize,
        environment: impl Fn(usize, SocketAddr) -> Vec<(&'static str, String)> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut fleet =
            Self { program: program.to_owned(), environment: Box::new(environment), instances: Vec::new() };
        for number in 0..count {
            let port = Port::reserve()?;
            let running = fleet.spawn(number, &port).await?;
            fleet.instances.push(Instance { port, running });
        }
        for number in 0..count {
            fleet.until_ready(number).await?;
        }
        Ok(fleet)
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.instances.iter().map(|instance| address(&instance.port)).collect()
    }

    /// `kill -9` for one of them, and a new one in its place.
    pub(crate) async fn kill_and_start(&mut self, number: usize) -> Result<u32, Error> {
        let number = number % self.instances.len().max(1);
        let none = || Error::Task("there is no instance to kill".to_owned());
        let instance = self.instances.get_mut(number).ok_or_else(none)?;
        let pid = instance.running.pid();
        instance.running.kill()?;
        eventually("the killed instance ends", BOUND, || {
            let runs = instance.running.is_running();
            async move { (!runs).then_some(()) }
        })
        .await?;
        let instance = self.instances.get(number).ok_or_else(none)?;
        let running = self.spawn(number, &instance.port).await?;
        self.instances.get_mut(number).ok_or_else(none)?.running = running;
        Ok(pid)
    }

    /// Waits until one of them says that it is ready.
    async fn until_ready(&self, number: usize) -> Result<(), Error> {
        let Some(instance) = self.instances.get(number) else { return Ok(()) };
        let address = address(&instance.port);
        let ready = || async {
            let request = Request { method: "GET", path: "/readyz", by: By::Nobody, body: "" };
            let answer = Wire::to(address).ask(request).await.ok();
            answer.filter(|answer| answer.status < NO_SUCCESS).map(|_| ())
        };
        Ok(eventually("an instance is ready", BOUND, ready).await?)
    }

    async fn spawn(&self, number: usize, port: &Port) -> Result<Running, Error> {
        let told = (self.environment)(number, address(port));
        let program = Program::new(&self.program)
            .arg("serve")
            .env("PORT", port.number().to_string())
            .env("INSTANCE_NAME", format!("instance-{}", number + 1))
            .env("RUST_LOG", "error");
        let running =
            told.into_iter().fold(program, |program, (name, value)| program.env(name, value)).start()?;
        running.until_stdout("listening on", BOUND).await?;
        Ok(running)
    }

    /// What they said of errors, the first lines of each.
    pub(crate) fn said(&self) -> Vec<String> {
        let lines = self.instances.iter().map(|instance| instance.running.stderr());
        lines.flat_map(|text| text.lines().take(5).map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

fn address(port: &Port) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()))
}
