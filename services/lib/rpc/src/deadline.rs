//! Deadlines: until when an answer is of use to somebody.
//!
//! A caller tells its peer how long it waits (`grpc-timeout`). The peer's own calls on its behalf wait no longer than what
//! is left of that, less a margin, so that the caller is told who did not answer before it gives up. What is left is known
//! to the task that answers, and to none that it spawns: what is carried to its end even if its caller goes away is not cut
//! short.

use std::time::Duration;

use tokio::time::Instant;
use tonic::codegen::http::{HeaderMap, HeaderValue};

/// The header, as gRPC has it.
pub const HEADER: &str = "grpc-timeout";
/// What is kept for the way back: a tenth of what is left, and no more than this.
const MARGIN: Duration = Duration::from_millis(500);
/// What a peer is told beyond what it gets: it is the caller who says that time is up, and whom it waited for.
const BEYOND: Duration = Duration::from_millis(100);

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Does work on behalf of a caller who waits until `deadline`.
pub async fn until<T>(deadline: Instant, work: impl Future<Output = T>) -> T {
    DEADLINE.scope(deadline, work).await
}

/// What is left for the calls of the work that this is part of; none when nobody waits, or for ever.
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

/// Says in a request's headers how long its caller waits.
pub fn tell(headers: &mut HeaderMap, limit: Duration) {
    let milliseconds = (limit + BEYOND).as_millis();
    // Eight digits at most.
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
