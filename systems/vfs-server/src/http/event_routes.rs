//! `GET /events`: a stream that tells when the feeds have come further, so that clients need not ask again and again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tidegate_store::postgres::Failure;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use vfs_core::Cursor;

use super::answer::ApiError;
use super::query::QueryParams;
use super::user_places::UserPlace;
use crate::app::App;
use crate::auth::Caller;
use crate::db::Trouble;
use crate::feed::{News, ground, news};

/// How often a stream without news shows that it is open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long one stream lasts; its client then begins another where this one ended.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);
/// How often the session of a stream without news is looked at.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long it takes until news are looked for again that could not be found.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const FAILED: &str = "Failed to open the change feed";

/// One stream. What it has not told yet is looked for when it is asked for more, so that nothing piles up.
struct Stream {
    app: Arc<App>,
    caller: Caller,
    since: Cursor,
    epoch: i32,
    pulse: watch::Receiver<(i32, i64)>,
    ending: watch::Receiver<bool>,
    until: Instant,
    greeted: bool,
    _place: UserPlace,
}

/// Opens a stream that goes on behind `Last-Event-ID`, or `cursor`, or from now.
pub(super) async fn events(
    caller: Caller,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    query: QueryParams,
) -> Result<Response, ApiError> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::trim);
    let from = match last.filter(|last| !last.is_empty()) {
        Some(last) => Some(Cursor::decode(last).ok_or_else(|| ApiError::bad("Invalid cursor"))?),
        None => query.cursor()?,
    };
    let place = app.stream_place(caller.user_id());
    let place = place.ok_or_else(|| ApiError::unavailable("Too many open change feeds", 5))?;
    // From before the head is looked at, so that nothing falls between.
    let pulse = app.pulse().subscribe();
    let looked = async {
        let session = app.pool().get().await?;
        let ground = ground(&session, from.as_ref()).await?;
        if let Some(from) = &from {
            ground.has(from).map_err(|gone| gone.refusal(ground.epoch))?;
        }
        Ok::<_, Trouble>(ground)
    };
    let ground = looked.await.map_err(|trouble| trouble.or(FAILED))?;
    let since = from.unwrap_or_else(|| ground.cursor());
    let stream = Stream {
        caller,
        since,
        epoch: ground.epoch,
        pulse,
        ending: app.ending(),
        until: Instant::now() + STREAM_MAX,
        greeted: false,
        _place: place,
        app,
    };
    let events = stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

impl Stream {
    /// The next event, when there is one; `None`: the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            let data = json!({ "feedEpoch": self.epoch });
            // Whatever came meanwhile is looked for at once.
            self.pulse.mark_changed();
            return Some(Event::default().event("open").id(self.since.encode()).data(data.to_string()));
        }
        loop {
            tokio::select! {
                beat = self.pulse.changed() => {
                    if beat.is_err() {
                        return None;
                    }
                }
                () = sleep(LOOK_AGAIN_AFTER) => {}
                () = sleep_until(self.until) => return None,
                _ = self.ending.wait_for(|ending| *ending) => return None,
            }
            match self.look().await {
                Ok(None) => return None,
                Ok(Some(news)) => {
                    if let Some(event) = self.tell(&news) {
                        return Some(event);
                    }
                }
                Err(error) => {
                    tracing::warn!(error, "what is new could not be looked for");
                    sleep(AGAIN_AFTER).await;
                    self.pulse.mark_changed();
                }
            }
        }
    }

    /// What is new; `None`: the caller's session has ended meanwhile.
    async fn look(&self) -> Result<Option<News>, String> {
        let session = self.app.pool().get().await.map_err(|error| error.to_string())?;
        let looked = async {
            if !self.caller.is_welcome(&session).await? {
                return Ok(None);
            }
            news(&session, self.caller.user_id(), &self.since).await.map(Some)
        };
        looked.await.map_err(|failure: Failure| failure.to_string())
    }

    /// What is new as an event; `None`: nothing is, for this user.
    fn tell(&mut self, news: &News) -> Option<Event> {
        let began = news.epoch != self.epoch;
        self.epoch = news.epoch;
        // The head may be of an older snapshot than what was told last, where servers differ; never go back.
        if news.head > self.since {
            self.since = news.head.clone();
        }
        if !began && news.operations.is_none() && news.objects.is_none() {
            return None;
        }
        let data = json!({
            "feedEpoch": news.epoch,
            "crdt": news.operations.as_ref().map(Cursor::encode),
            "sync": news.objects.as_ref().map(Cursor::encode),
        });
        let name = if began { "epoch" } else { "change" };
        Some(Event::default().event(name).id(self.since.encode()).data(data.to_string()))
    }
}
