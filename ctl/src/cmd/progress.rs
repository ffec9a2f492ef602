//! The progress of layers: bars on a terminal, otherwise plain lines.

use std::collections::HashMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output;

/// Whether to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Progress,
    Nothing,
}

/// The progress of a layer.
pub struct Step<'a> {
    pub digest: &'a str,
    pub words: &'a str,
    pub current: u64,
    /// The size; 0 if unknown.
    pub total: u64,
    /// Whether this is the layer's last step.
    pub done: bool,
}

/// Shows the progress of layers.
pub enum View {
    Bars {
        all: MultiProgress,
        layers: HashMap<String, ProgressBar>,
    },
    /// The message last printed for each layer.
    Lines(HashMap<String, String>),
    Nothing,
}

impl View {
    pub fn new(shown: Shown) -> Self {
        match shown {
            Shown::Nothing => Self::Nothing,
            Shown::Progress if std::io::stderr().is_terminal() => {
                Self::Bars { all: MultiProgress::new(), layers: HashMap::new() }
            }
            Shown::Progress => Self::Lines(HashMap::new()),
        }
    }

    /// Prints a message that is about no layer.
    pub fn say(&self, words: impl std::fmt::Display) {
        match self {
            Self::Bars { all, .. } => drop(all.println(words.to_string())),
            Self::Lines(_) => eprintln!("{words}"),
            Self::Nothing => {}
        }
    }

    /// Shows a step of a layer.
    pub fn show(&mut self, step: &Step<'_>) {
        match self {
            Self::Bars { all, layers } => {
                let bar = layers.entry(step.digest.to_owned()).or_insert_with(|| bar(all, step.digest));
                bar.set_message(step.words.to_owned());
                if step.total > 0 {
                    bar.set_length(step.total);
                    bar.set_position(step.current);
                }
                if step.done {
                    bar.set_position(bar.length().unwrap_or_default());
                    bar.finish();
                }
            }
            Self::Lines(shown) => {
                let before = shown.insert(step.digest.to_owned(), step.words.to_owned());
                if before.as_deref() != Some(step.words) {
                    eprintln!("{} {}", output::short(step.digest), step.words);
                }
            }
            Self::Nothing => {}
        }
    }
}

fn bar(all: &MultiProgress, digest: &str) -> ProgressBar {
    let template = "{prefix} {msg:<11} {wide_bar} {bytes:>10}/{total_bytes:<10}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = all.add(ProgressBar::new(0).with_style(style));
    bar.set_prefix(output::short(digest).to_owned());
    bar
}
