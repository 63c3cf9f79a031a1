//! The network of a simulated world: what becomes of requests and answers on their way.

use std::hash::Hash;

use serde_json::{Value, json};
use vfs_core::client::{Reply, ReplyBody, Request, RequestId, reply};

use super::lie::{Expected, Lie, Scene, all_stale};
use super::op::NetworkFault;
use super::server::Answered;
use super::world::World;

/// After so many milliseconds without an answer a device gives up.
const TIMEOUT: i64 = 200;

/// Events of one list of operations, at most.
const EVENTS_MAX: u64 = 20_000;

/// A request or a reply on its way, or a device that gives up.
pub(super) enum Event {
    Arrives { request: Request, is_late: bool },
    Returns { request: Request, reply: Box<Reply>, expected: Expected, lie: Option<Lie> },
    GivesUp,
}

pub(super) struct Sent {
    pub(super) device: usize,
    pub(super) life: u32,
    pub(super) id: RequestId,
    pub(super) event: Event,
}

impl World {
    /// Lets time pass, and everything happen that falls into it.
    pub(super) fn pass(&mut self, milliseconds: i64) -> Result<(), String> {
        let until = self.now + milliseconds;
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            self.now = self.now.max(entry.key().0);
            let sent = entry.remove();
            self.deliver(sent)?;
        }
        self.now = until;
        Ok(())
    }

    pub(super) fn schedule(&mut self, delay: i64, sent: Sent) {
        self.scheduled += 1;
        self.events.insert((self.now + delay, self.scheduled), sent);
    }

    pub(super) fn delay(&mut self) -> i64 {
        1 + self.random.below(12) as i64
    }

    /// Puts a request on its way, as the network likes it.
    pub(super) fn send(&mut self, device: usize, id: RequestId, request: Request) {
        let life = self.devices[device].life;
        self.devices[device].out = Some(id);
        self.exchanges += 1;
        self.schedule(TIMEOUT, Sent { device, life, id, event: Event::GivesUp });
        let fault = self.devices[device].network;
        let go = |world: &mut Self, delay: i64, is_late: bool| {
            let event = Event::Arrives { request: request.clone(), is_late };
            world.schedule(delay, Sent { device, life, id, event });
        };
        match fault {
            Some(NetworkFault::LoseRequest) => {
                self.devices[device].network = None;
                self.count("request lost");
            }
            Some(NetworkFault::DoubleRequest) => {
                self.devices[device].network = None;
                self.count("request doubled");
                for _ in 0..2 {
                    let delay = self.delay();
                    go(self, delay, false);
                }
            }
            Some(NetworkFault::LateRequest) => {
                self.devices[device].network = None;
                self.count("request after the timeout");
                go(self, TIMEOUT + 50, true);
            }
            _ => {
                let delay = self.delay();
                go(self, delay, false);
            }
        }
    }

    pub(super) fn deliver(&mut self, sent: Sent) -> Result<(), String> {
        self.delivered += 1;
        if self.delivered > EVENTS_MAX {
            return Err("the world does not come to rest".to_owned());
        }
        let Sent { device, life, id, event } = sent;
        (self.now, device, life, self.delivered).hash(&mut self.trace);
        match event {
            Event::Arrives { request, is_late } => {
                self.arrives(device, life, id, request, is_late);
                Ok(())
            }
            Event::GivesUp => {
                let subject = &self.devices[device];
                if subject.life != life || subject.out != Some(id) {
                    return Ok(());
                }
                self.reply(device, id, Reply::failed("timed out"), &Expected::Nothing, None)
            }
            Event::Returns { request, reply, expected, lie } => {
                if self.devices[device].life != life {
                    return Ok(());
                }
                if self.devices[device].out != Some(id) {
                    self.count("late reply ignored");
                    let subject = &mut self.devices[device];
                    let before = subject.client.export_state();
                    let effects = subject.client.reply(id, *reply);
                    if !effects.is_empty() || subject.client.export_state() != before {
                        return Err("a reply to an older request was taken".to_owned());
                    }
                    return Ok(());
                }
                if let Some(lie) = lie {
                    self.count(&lie.name());
                }
                self.reply(device, id, *reply, &expected, Some(&request))
            }
        }
    }

    /// The server answers, and the way back may lie.
    pub(super) fn arrives(
        &mut self,
        device: usize,
        life: u32,
        id: RequestId,
        request: Request,
        is_late: bool,
    ) {
        let who = self.devices[device].who.clone();
        let liar = matches!(request, Request::Push { .. })
            && self.devices[device].lies.contains(&Lie::AlwaysStale)
            && self.devices[device].life == life;
        let dies = self.server.dies;
        let answered = if liar {
            let body = all_stale(&request).expect("a push");
            Answered::Reply(Reply::of(body))
        } else {
            let now = self.server_now();
            self.server.answer(now, &who, &request)
        };
        let Answered::Reply(honest) = answered else {
            self.count(if dies == Some(true) {
                "server died after the commit"
            } else {
                "server died before the commit"
            });
            return;
        };
        let subject = &mut self.devices[device];
        let exports = subject.client.export_state();
        let scene = Scene {
            request: &request,
            known: exports.reconcile_state.as_ref(),
            earlier: &subject.earlier,
            starts_over: subject.is_starting_over,
        };
        let (mut lied, mut lie) = (None, None);
        if subject.life == life && subject.out == Some(id) && !is_late && !liar {
            for (at, told) in subject.lies.iter().enumerate() {
                if let Some(found) = scene.tell(*told, &honest) {
                    (lied, lie) = (Some(found), Some((at, *told)));
                    break;
                }
            }
        }
        if let Some((at, _)) = lie {
            subject.lies.remove(at);
        }
        if liar {
            lie = Some((0, Lie::AlwaysStale));
        }
        let (reply, expected) = lied.unwrap_or_else(|| (self.wire(&request, honest), Expected::Nothing));
        let fault = self.devices[device].network;
        let lie = lie.map(|(_, lie)| lie);
        let back = |world: &mut Self, delay: i64| {
            let event = Event::Returns {
                request: request.clone(),
                reply: Box::new(reply.clone()),
                expected: expected.clone(),
                lie,
            };
            world.schedule(delay, Sent { device, life, id, event });
        };
        match fault {
            Some(NetworkFault::LoseReply) => {
                self.devices[device].network = None;
                self.count("reply lost");
            }
            Some(NetworkFault::LateReply) => {
                self.devices[device].network = None;
                self.count("reply after the timeout");
                back(self, TIMEOUT + 50);
            }
            Some(NetworkFault::DoubleReply) => {
                self.devices[device].network = None;
                self.count("reply doubled");
                for _ in 0..2 {
                    let delay = self.delay();
                    back(self, delay);
                }
            }
            _ => {
                let delay = self.delay();
                back(self, delay);
            }
        }
    }

    /// Some honest answers go as the bytes of the wire.
    pub(super) fn wire(&mut self, request: &Request, honest: Reply) -> Reply {
        if self.random.below(8) != 0 {
            return honest;
        }
        let value: Value = match (&honest.body, request) {
            (ReplyBody::Pushed(results), _) => json!({ "clientId": "c", "results": results }),
            (ReplyBody::Pulled(page), _) => json!({
                "items": page.items.to_vec(),
                "nextCursor": page.next_cursor.as_ref().map(vfs_core::Cursor::encode),
                "hasMore": page.has_more,
                "lastReconciledWriteIds": page.last_reconciled_write_ids,
            }),
            (
                ReplyBody::Reconciled { cursor: Some(cursor), write_ids },
                Request::Reconcile { client_id, .. },
            ) => {
                json!({ "clientId": client_id, "cursor": cursor.encode(), "lastReconciledWriteIds": write_ids })
            }
            _ => return honest,
        };
        let body = reply::read(request, 200, &serde_json::to_vec(&value).expect("JSON"));
        Reply { feed: honest.feed, body }
    }
}
