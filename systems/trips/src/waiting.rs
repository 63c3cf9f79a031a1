//! Whose request it is that waits for an answer: a migration of that user's keys gives way meanwhile.
//!
//! Who asks is known only within a request, once its token, its session or the name in its body was looked up; it counts
//! from then on, until it is answered.

use std::sync::OnceLock;

use tidegate_rekey::InFlight;

use crate::app::App;

tokio::task_local! {
    static REQUEST: OnceLock<InFlight>;
}

/// Answers a request, which counts from when its user is known.
pub(crate) async fn request<T>(answer: impl Future<Output = T>) -> T {
    REQUEST.scope(OnceLock::new(), answer).await
}

/// The request that is being answered is this user's. Where none is, nothing happens.
pub(crate) fn is_of(app: &App, user_id: &str) {
    // Outside of a request that counts there is nobody to give way to.
    let _ = REQUEST.try_with(|request| {
        if app.gives_way() {
            request.get_or_init(|| app.foreground().enter(user_id));
        }
    });
}
