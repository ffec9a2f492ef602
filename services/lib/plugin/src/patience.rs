//! How long a call waits for a plugin that does not answer.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses that double, until the next one would end too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first pause.
    pub first: Duration,
    /// The time from the first attempt to the end of the last pause is less than this.
    pub most: Duration,
}

impl Default for Patience {
    /// Docker's: 1, 2, 4 and 8 seconds.
    fn default() -> Self {
        Patience { first: Duration::from_secs(1), most: Duration::from_secs(30) }
    }
}

/// The pauses of one call.
pub(crate) struct Waiting {
    begun: Instant,
    next: Duration,
    most: Duration,
}

impl Patience {
    pub(crate) fn begin(self) -> Waiting {
        Waiting { begun: Instant::now(), next: self.first, most: self.most }
    }
}

impl Waiting {
    /// Waits for the next pause; returns `false` when no time is left.
    pub(crate) async fn pause(&mut self) -> bool {
        if self.begun.elapsed() + self.next >= self.most {
            return false;
        }
        tokio::time::sleep(self.next).await;
        self.next *= 2;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_plugin_is_waited_for_for_fifteen_seconds() {
        let begun = Instant::now();
        let (mut waiting, mut pauses) = (Patience::default().begin(), 0);
        while waiting.pause().await {
            pauses += 1;
        }
        assert_eq!((pauses, begun.elapsed().as_secs()), (4, 15));
    }
}
