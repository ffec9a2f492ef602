//! `gantry pull`: live bars on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::io::IsTerminal;

use anyhow::Result;
use gantry_proto::gantry::images::v1::layer_progress::State;
use gantry_proto::gantry::images::v1::{LayerProgress, PullProgress, PullRequest, pull_progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio_stream::StreamExt;

use crate::cmd::Session;
use crate::output;

pub async fn run(session: &Session, reference: String, platform: String) -> Result<()> {
    let request = PullRequest { reference, platform, ..PullRequest::default() };
    let mut events = session.peers.images().pull(session.request(request)).await?.into_inner();
    let mut view = if std::io::stderr().is_terminal() {
        View::Bars(Bars::default())
    } else {
        View::Lines(HashMap::new())
    };
    while let Some(event) = events.next().await {
        view.show(event?)?;
    }
    Ok(())
}

enum View {
    Bars(Bars),
    /// The last state printed for a layer.
    Lines(HashMap<String, State>),
}

impl View {
    fn show(&mut self, progress: PullProgress) -> Result<()> {
        match (progress.event, self) {
            (Some(pull_progress::Event::Layer(layer)), Self::Bars(bars)) => bars.show(&layer),
            (Some(pull_progress::Event::Layer(layer)), Self::Lines(shown)) => {
                let state = layer.state();
                if shown.insert(layer.digest.clone(), state) != Some(state) {
                    eprintln!("{} {}", output::short(&layer.digest), words(state));
                }
            }
            (Some(pull_progress::Event::Resolving(resolving)), _) => {
                eprintln!("pulling {}:{}", resolving.repository, resolving.tag);
            }
            (Some(pull_progress::Event::Pulled(pulled)), _) => {
                output::line(format_args!("{}@{}", pulled.reference, pulled.digest))?;
            }
            (None, _) => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Bars {
    all: MultiProgress,
    layers: HashMap<String, ProgressBar>,
}

impl Bars {
    fn show(&mut self, layer: &LayerProgress) {
        let bar = self.layers.entry(layer.digest.clone()).or_insert_with(|| {
            let template = "{prefix} {msg:<11} {wide_bar} {bytes:>10}/{total_bytes:<10}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = self.all.add(ProgressBar::new(0).with_style(style));
            bar.set_prefix(output::short(&layer.digest).to_owned());
            bar
        });
        bar.set_message(words(layer.state()));
        if layer.total > 0 {
            bar.set_length(layer.total.unsigned_abs());
            bar.set_position(layer.current.unsigned_abs());
        }
        if matches!(layer.state(), State::Complete | State::Exists) {
            bar.set_position(bar.length().unwrap_or_default());
            bar.finish();
        }
    }
}

fn words(state: State) -> &'static str {
    match state {
        State::Pulling => "pulling",
        State::Waiting => "waiting",
        State::Downloading => "downloading",
        State::Verifying => "verifying",
        State::Downloaded => "downloaded",
        State::Extracting => "extracting",
        State::Complete => "complete",
        State::Exists => "exists",
        State::Retrying => "retrying",
    }
}
