//! Deadlines: how long a response is useful.
//!
//! A caller tells its peer how long it waits (`grpc-timeout`). The peer's own calls for that caller have the
//! remaining time less a margin, so that the caller learns which service did not answer before it gives up. Only the
//! task that handles the request knows the remaining time, and not the tasks that it spawns: work that runs to its
//! end even when its caller cancels is not cut short.

use std::time::Duration;

use tokio::time::Instant;
use tonic::codegen::http::{HeaderMap, HeaderValue};

/// The header of gRPC.
pub const HEADER: &str = "grpc-timeout";
/// The margin is a tenth of the remaining time, and at most this.
const MARGIN: Duration = Duration::from_millis(500);
/// How much more time a peer is told than the caller waits: the caller reports that the time is over, and names the
/// peer.
const BEYOND: Duration = Duration::from_millis(100);

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Does work for a caller that waits until `deadline`.
pub async fn until<T>(deadline: Instant, work: impl Future<Output = T>) -> T {
    DEADLINE.scope(deadline, work).await
}

/// The remaining time for the calls of the current work; `None` without a deadline.
pub fn left() -> Option<Duration> {
    let left = DEADLINE.try_with(|deadline| deadline.saturating_duration_since(Instant::now())).ok()?;
    Some(left - (left / 10).min(MARGIN))
}

/// How long the caller of a request waits, if it says so.
pub fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = Some(count).filter(|count| count.len() <= 8)?.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Sets the deadline in a request's headers.
pub fn tell(headers: &mut HeaderMap, limit: Duration) {
    let milliseconds = (limit + BEYOND).as_millis();
    // At most eight digits.
    let text = match milliseconds {
        0..=99_999_999 => format!("{milliseconds}m"),
        _ => format!("{}S", (milliseconds / 1000).min(99_999_999)),
    };
    headers.insert(HEADER, HeaderValue::try_from(text).expect("digits and a letter are a header's value"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HEADER.parse().expect("a name"), value.parse().expect("a value"))])
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        for (text, timeout) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("10S", Some(Duration::from_secs(10))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000n", None),
            ("-1S", None),
            ("10", None),
            ("S", None),
            ("", None),
            ("1s", None),
        ] {
            assert_eq!(of(&headers(text)), timeout, "{text}");
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_told_is_a_little_more() {
        for limit in [Duration::ZERO, Duration::from_secs(10), Duration::from_secs(200_000)] {
            let mut headers = HeaderMap::new();
            tell(&mut headers, limit);
            let told = of(&headers).expect("told");
            assert!((limit..limit + Duration::from_secs(1)).contains(&told), "{told:?}");
        }
    }

    #[tokio::test]
    async fn what_is_left_bounds_calls_but_no_work_of_its_own() {
        assert_eq!(left(), None);
        let just_below = |limit: u64| Duration::from_millis(limit - 100)..=Duration::from_millis(limit);
        until(Instant::now() + Duration::from_secs(10), async {
            assert!(just_below(9500).contains(&left().expect("a caller")), "less the margin");
            assert_eq!(tokio::spawn(async { left() }).await.expect("no panic"), None, "carried to its end");
        })
        .await;
        until(Instant::now() + Duration::from_secs(1), async {
            assert!(just_below(900).contains(&left().expect("a caller")), "less a tenth");
        })
        .await;
        until(Instant::now(), async { assert_eq!(left(), Some(Duration::ZERO)) }).await;
    }
}
