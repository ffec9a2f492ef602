//! Variables and labels, from options and from files with one a line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Variables: those of files, then those of options. A name without a value takes its value from this environment; if it has none
/// there, the name is passed on, and removes the image's variable.
pub fn variables(files: &[PathBuf], options: &[String]) -> Result<Vec<String>> {
    let mut variables = Vec::new();
    for file in files {
        for line in lines(file)? {
            let (name, value) =
                line.split_once('=').map_or((line.as_str(), None), |(name, value)| (name, Some(value)));
            check_name(file, name)?;
            match value {
                Some(_) => variables.push(line),
                None => variables.extend(std::env::var(name).ok().map(|value| format!("{name}={value}"))),
            }
        }
    }
    for option in options {
        if option.is_empty() || option.starts_with('=') {
            bail!("--env {option}: a variable needs a name");
        }
        variables.push(match std::env::var(option) {
            Ok(value) if !option.contains('=') => format!("{option}={value}"),
            _ => option.clone(),
        });
    }
    Ok(variables)
}

/// Labels: those of files, then those of options. A key without a value has an empty one.
pub fn labels(files: &[PathBuf], options: &[String]) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for file in files {
        for line in lines(file)? {
            check_name(file, line.split('=').next().unwrap_or_default())?;
            add(&mut labels, &line)?;
        }
    }
    for option in options {
        add(&mut labels, option)?;
    }
    Ok(labels)
}

fn add(labels: &mut BTreeMap<String, String>, text: &str) -> Result<()> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        bail!("--label {text}: a label needs a key");
    }
    labels.insert(key.to_owned(), value.to_owned());
    Ok(())
}

/// The lines of a file, without empty ones and comments.
fn lines(file: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

fn check_name(file: &Path, name: &str) -> Result<()> {
    if name.is_empty() {
        bail!("{}: a line has no name", file.display());
    }
    if name.contains(char::is_whitespace) {
        bail!("{}: the name {name:?} has blanks", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_first_and_names_alone_are_looked_up() {
        let file = std::env::temp_dir().join(format!("gantry-env-{}", std::process::id()));
        std::fs::write(&file, "# no\n\n  A=1\nPATH\nNOT_HERE_AT_ALL\nB=x y\n").expect("written");
        let path = format!("PATH={}", std::env::var("PATH").expect("there is one"));
        let options = ["A=2".to_owned(), "PATH".to_owned(), "NOT_HERE_AT_ALL".to_owned()];
        let found = variables(std::slice::from_ref(&file), &options).expect("read");
        assert_eq!(found, ["A=1", &path, "B=x y", "A=2", &path, "NOT_HERE_AT_ALL"]);
        std::fs::write(&file, "A B=1").expect("written");
        variables(std::slice::from_ref(&file), &[]).expect_err("a blank in a name");
        std::fs::remove_file(&file).expect("removed");
        variables(&[file], &[]).expect_err("no file");
        variables(&[], &["=x".to_owned()]).expect_err("no name");
    }

    #[test]
    fn labels_without_a_value_are_empty() {
        let labels = labels(&[], &["a".to_owned(), "b=c=d".to_owned()]).expect("read");
        assert_eq!(labels["a"], "");
        assert_eq!(labels["b"], "c=d");
    }
}
