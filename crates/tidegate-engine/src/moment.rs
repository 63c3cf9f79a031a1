//! Times as people read them. What programs read keeps its whole precision.

use jiff::Timestamp;

/// `2026-03-01 02:04:05Z`
#[must_use]
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `2026-03-01 02:04:05.678Z`, where events are told apart.
#[must_use]
pub fn precise(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_the_most_that_is_read() {
        let at: Timestamp = "2026-03-01T02:04:05.678912345Z".parse().unwrap();
        assert_eq!(
            (moment(at).as_str(), precise(at).as_str()),
            ("2026-03-01 02:04:05Z", "2026-03-01 02:04:05.678Z")
        );
        let whole: Timestamp = "2026-03-01T02:04:05Z".parse().unwrap();
        assert_eq!(precise(whole), "2026-03-01 02:04:05.000Z");
    }
}
