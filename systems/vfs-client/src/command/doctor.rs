//! `vfs doctor`.

use clap::Args;
use serde::Serialize;
use vfs_client::store::Store;
use vfs_client::task::Task;
use vfs_client::{Device, DeviceError, Home, Identity};
use vfs_core::client::{Failure, ReplyBody, Request};

use super::{CommandError, say, say_json, told};

/// How to say what is found.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    what: String,
    is_good: bool,
    said: String,
}

fn finding(what: impl Into<String>, found: Result<String, String>) -> Finding {
    let is_good = found.is_ok();
    Finding { what: what.into(), is_good, said: found.unwrap_or_else(|why| why) }
}

pub(crate) fn run(home: &Home, arguments: &DoctorArguments) -> Result<(), CommandError> {
    let findings = look(home)?;
    let bad = findings.iter().filter(|finding| !finding.is_good).count();
    if arguments.json {
        say_json(&findings);
    } else {
        for finding in &findings {
            let mark = if finding.is_good { "✓" } else { "✗" };
            say(format!("{mark} {}: {}", finding.what, finding.said));
        }
    }
    if bad == 0 {
        Ok(())
    } else {
        Err(CommandError::Negative(format!("{bad} of {} are not well", findings.len())))
    }
}

fn look(home: &Home) -> Result<Vec<Finding>, CommandError> {
    let identity = home.identity()?;
    let mut findings = vec![finding(
        "directory",
        Ok(format!("{}, client {} of {}", home.path().display(), identity.client_id, identity.user_id)),
    )];
    findings.push(finding("token", token(&identity)));
    let checked = Store::open(&home.store()).and_then(|store| store.check());
    findings.push(finding("store", checked.map(|()| "whole".to_owned()).map_err(|error| error.to_string())));
    let device = match Device::open(home.clone(), Box::new(told)) {
        Ok(device) => device,
        Err(error) => {
            let next = match &error {
                DeviceError::Hydrate { last_good: Some(path), .. } => {
                    format!("; `vfs state hydrate {} --replace` takes up the last good one", path.display())
                }
                _ => String::new(),
            };
            findings.push(finding("state", Err(format!("{error}{next}"))));
            return Ok(findings);
        }
    };
    let client = device.client();
    findings.push(finding(
        "state",
        Ok(format!(
            "{} operations wait, next write {}",
            client.pending().len(),
            client.next_local_write_id()
        )),
    ));
    let rejected = client.rejected().len();
    findings.push(finding(
        "rejected operations",
        if rejected == 0 { Ok("none".to_owned()) } else { Err(format!("{rejected}; see `vfs queue`")) },
    ));
    let tasks = device.tasks()?;
    let refused = tasks.iter().filter(|task| task.refusal.is_some()).count();
    findings.push(finding(
        "tasks",
        if refused == 0 {
            Ok(format!("{} wait", tasks.len()))
        } else {
            Err(format!("{refused} of {} were refused; see `vfs queue`", tasks.len()))
        },
    ));
    let (mut waiting, mut bytes, well) = (0_usize, 0_u64, findings.len());
    for task in &tasks {
        if let Task::Attach(attach) = &task.task {
            waiting += 1;
            bytes += attach.size_bytes;
            let size = std::fs::metadata(device.bytes_path(attach)).map(|metadata| metadata.len());
            if size.as_ref().ok() != Some(&attach.size_bytes) {
                let found = size.map_or_else(|error| error.to_string(), |size| format!("{size} bytes"));
                let why = format!("{found} instead of {} bytes; drop task {}", attach.size_bytes, task.id.0);
                findings.push(finding(format!("bytes of blob {}", attach.blob_id), Err(why)));
            }
        }
    }
    if findings.len() == well {
        findings.push(finding("bytes that wait", Ok(format!("{waiting} blobs, {bytes} bytes"))));
    }
    for server in &identity.servers {
        findings.push(finding(format!("server {server}"), asked(&device, server)));
    }
    Ok(findings)
}

/// Whose the token is.
fn token(identity: &Identity) -> Result<String, String> {
    let place = identity.token().place();
    match identity.transport(&identity.servers).token_of() {
        Ok(Some(user)) => Ok(format!("of {user}, in {place}")),
        Ok(None) => Ok(format!("in {place}; whose it is, only the server knows")),
        Err(error) => Err(error.to_string()),
    }
}

/// What one server says to this client.
fn asked(device: &Device, server: &str) -> Result<String, String> {
    let transport = device.identity().transport(&[server.to_owned()]);
    let version = transport.ask("GET", "/v1/vfs/version", None).map_err(|error| match error.status() {
        Some(401) => "it does not take this token; get a new one from whoever runs the server".to_owned(),
        _ => error.to_string(),
    })?;
    let cursor = device.client().cursor().cloned();
    let (reply, _) = transport.exchange(&Request::Pull { cursor, limit: 1 });
    match (reply.body, reply.feed.map(|feed| feed.epoch), device.client().feed_epoch()) {
        (ReplyBody::Failed(Failure::Transport(text)), ..) => Err(text),
        (ReplyBody::Failed(Failure::Malformed(error)), ..) => Err(error.to_string()),
        (ReplyBody::Failed(Failure::RematerializationRequired { .. }), ..) => {
            Ok("has forgotten what follows; the next sync takes the state anew".to_owned())
        }
        (_, Some(theirs), Some(ours)) if theirs != ours => Err(format!(
            "its feed is of epoch {theirs}, here {ours}: it was restored; `vfs state export`, then `vfs sync \
             --rematerialize`"
        )),
        _ => {
            let text = |name: &str| version.get(name).map(ToString::to_string).unwrap_or_default();
            Ok(format!("version {}, schema {}", text("version").trim_matches('"'), text("schemaVersion")))
        }
    }
}
