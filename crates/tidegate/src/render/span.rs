//! Spans of time as people read them.

use std::time::Duration;

use jiff::Timestamp;
pub(crate) use tidegate_engine::moment::moment;

/// `3 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A short time with tenths: `0.4 s`; a longer one as [`lasting`].
pub(crate) fn took(milliseconds: u64) -> String {
    if milliseconds < 60_000 {
        format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
    } else {
        lasting(Duration::from_millis(milliseconds))
    }
}

/// How long ago that was.
pub(crate) fn ago(at: Timestamp) -> String {
    let since = Timestamp::now().duration_since(at);
    if since.is_negative() { "just now".to_owned() } else { format!("{} ago", lasting(since.unsigned_abs())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_enough() {
        assert_eq!(lasting(Duration::from_secs(59)), "59 s");
        assert_eq!(lasting(Duration::from_secs(65)), "1 min 5 s");
        assert_eq!(lasting(Duration::from_secs(7800)), "2 h 10 min");
        assert_eq!(lasting(Duration::from_secs(90_000)), "1 d 1 h");
        assert_eq!(took(1250), "1.2 s");
    }
}
