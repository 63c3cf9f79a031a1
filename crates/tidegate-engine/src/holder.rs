//! Who this process is: host, process, and whether another holder's process still lives.

use serde::Serialize;

/// A runner's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The claimed name.
    pub actor: String,
    /// Host name.
    pub host: String,
    /// Boot id and process name space: only within the same one can a pid be asked.
    pub boot: String,
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub pid_started: String,
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn this_process(actor: &str) -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        Self {
            actor: actor.to_owned(),
            host: host_name(),
            boot: boot(),
            pid,
            pid_started: started(pid).unwrap_or_default(),
        }
    }
}

/// The host's name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The user of the operating system, by name where `/etc/passwd` knows it, else by number.
#[must_use]
pub fn os_user() -> String {
    let uid = rustix::process::getuid().as_raw();
    std::fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|passwd| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
            })
        })
        .unwrap_or_else(|| format!("uid {uid}"))
}

/// Whether a holder's process is certainly gone: it ran here, and no such process runs here now.
#[must_use]
pub fn is_gone(boot_of_holder: &str, pid: i32, pid_started: &str) -> bool {
    !boot_of_holder.is_empty() && boot_of_holder == boot() && started(pid).as_deref() != Some(pid_started)
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_default();
    if id.trim().is_empty() || space.is_empty() {
        return String::new();
    }
    format!("{} {space}", id.trim())
}

/// Field 22 of `/proc/<pid>/stat`; a zombie counts as gone.
fn started(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_gone_and_a_reused_pid_is() {
        let me = Holder::this_process("me");
        assert!(!me.boot.is_empty());
        assert!(!is_gone(&me.boot, me.pid, &me.pid_started));
        assert!(is_gone(&me.boot, me.pid, "1"));
        assert!(!is_gone("another boot", me.pid, "1"));
    }
}
