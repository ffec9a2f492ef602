//! Containers in lists.

use gantry_api::engine::{State, Status};
use prost_types::Timestamp;

use crate::moment;

/// The status in a list: `Up 5 minutes (healthy)`.
pub fn status(state: &State, now: &Timestamp) -> String {
    let since = |at: i64| moment::in_words(moment::unix_nanos(Some(now)).saturating_sub(at) / 1_000_000_000);
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let up = format!("Up {}", since(state.started_at));
            match state.health.as_ref().map(|health| health.status.as_str()) {
                None | Some("" | "none") => up,
                Some("starting") => format!("{up} (health: starting)"),
                Some(health) => format!("{up} ({health})"),
            }
        }
        Status::Paused => format!("Up {} (Paused)", since(state.started_at)),
        Status::Restarting => {
            format!("Restarting ({}) {} ago", state.exit_code, since(state.finished_at))
        }
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        Status::Exited => {
            format!("Exited ({}) {} ago", state.exit_code, since(state.finished_at))
        }
    }
}

/// The command in one line; arguments with spaces are quoted.
pub fn command(path: &str, args: &[String]) -> String {
    let mut text = path.to_owned();
    for arg in args {
        text.push(' ');
        if arg.contains(' ') {
            text.push('\'');
            text.push_str(arg);
            text.push('\'');
        } else {
            text.push_str(arg);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use gantry_api::engine::Health;

    use super::*;

    fn state(status: Status, exit_code: i32, at: i64) -> State {
        let at = at * 1_000_000_000;
        State { status, exit_code, started_at: at, finished_at: at, ..State::default() }
    }

    #[test]
    fn states_are_told_as_docker_does() {
        let now = Timestamp { seconds: 10_000, nanos: 0 };
        let rows = [
            (state(Status::Created, 0, 0), "Created"),
            (state(Status::Running, 0, 9_995), "Up 5 seconds"),
            (state(Status::Paused, 0, 9_700), "Up 5 minutes (Paused)"),
            (state(Status::Restarting, 1, 9_997), "Restarting (1) 3 seconds ago"),
            (state(Status::Exited, 137, 2_800), "Exited (137) 2 hours ago"),
            (state(Status::Exited, 0, 10_000), "Exited (0) Less than a second ago"),
            (state(Status::Removing, 0, 0), "Removal In Progress"),
            (state(Status::Dead, 0, 0), "Dead"),
        ];
        for (state, text) in rows {
            assert_eq!(status(&state, &now), text);
        }
        for (health, text) in [
            ("healthy", "Up 1 second (healthy)"),
            ("starting", "Up 1 second (health: starting)"),
            ("none", "Up 1 second"),
        ] {
            let mut state = state(Status::Running, 0, 9_999);
            state.health = Some(Health { status: health.into(), ..Health::default() });
            assert_eq!(status(&state, &now), text);
        }
    }
}
