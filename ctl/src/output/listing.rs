//! Lists of objects: as a table, as names alone, in the user's format, or as JSON.
//!
//! A format is text with `{{.Field}}`, `\t` and `\n` in it; it supports nothing else of Go's templates. If it begins with `table `, the list
//! has titles, and `\t` separates its columns. `{{json .}}` is the whole object, as `json` alone and `--json` print it: one
//! document a line.

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Format, line, write};

/// A field of rows: its name in formats, and the title of its column.
pub type Field = (&'static str, &'static str);

/// A list.
pub struct Listing {
    /// All fields.
    pub fields: &'static [Field],
    /// The fields of the table, by name.
    pub columns: Vec<&'static str>,
}

/// A row: the value of each field, in the list's order, and the whole object.
pub struct Row {
    pub cells: Vec<String>,
    pub whole: Value,
}

/// How to print a list.
pub struct Printer {
    fields: &'static [Field],
    how: How,
}

enum How {
    Json,
    Lines(Vec<Piece>),
    Table(Vec<Vec<Piece>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(usize),
    Whole,
}

impl Listing {
    /// Reads the user's options.
    ///
    /// # Errors
    ///
    /// A format that is invalid, or names an unknown field.
    pub fn printer(&self, format: Format, wanted: Option<&str>) -> Result<Printer> {
        let how = match (format, wanted) {
            (Format::Json, Some(_)) => bail!("--json and --format cannot both be asked for"),
            (Format::Json, None) | (_, Some("json")) => How::Json,
            (_, None | Some("table" | "")) => {
                let column =
                    |name: &&str| vec![Piece::Field(self.position(name).expect("a column is a field"))];
                How::Table(self.columns.iter().map(column).collect())
            }
            (_, Some(text)) => match text.strip_prefix("table ") {
                Some(columns) => {
                    let columns = unescape(columns);
                    let columns = columns.trim().split('\t').map(|column| self.pieces(column));
                    How::Table(columns.collect::<Result<_>>()?)
                }
                None => How::Lines(self.pieces(&unescape(text))?),
            },
        };
        Ok(Printer { fields: self.fields, how })
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(field, _)| *field == name)
    }

    fn pieces(&self, text: &str) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let Some((inside, after)) = after.split_once("}}") else { bail!("--format: {{{{ without }}}}") };
            let inside = inside.trim();
            pieces.push(match inside.strip_prefix('.').map(|name| self.position(name)) {
                Some(Some(field)) => Piece::Field(field),
                None if inside == "json ." => Piece::Whole,
                None => bail!(
                    "--format: {{{{{inside}}}}} is none of what there is: {{{{.Field}}}} and {{{{json .}}}}"
                ),
                Some(None) => {
                    let known: Vec<_> = self.fields.iter().map(|(name, _)| *name).collect();
                    bail!("--format: there is no field {inside}, but {}", known.join(", "))
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(pieces)
    }
}

impl Printer {
    /// Prints rows; a table has its titles even without rows.
    pub fn print(&self, rows: &[Row]) -> Result<()> {
        write(self.text(rows)?.as_bytes())
    }

    /// The text to print.
    pub fn text(&self, rows: &[Row]) -> Result<String> {
        let mut text = String::new();
        match &self.how {
            How::Json => {
                for row in rows {
                    text.push_str(&serde_json::to_string(&row.whole)?);
                    text.push('\n');
                }
            }
            How::Lines(pieces) => {
                for row in rows {
                    text.push_str(&render(pieces, row)?);
                    text.push('\n');
                }
            }
            How::Table(columns) => {
                let titles = self.fields.iter().map(|(_, title)| (*title).to_owned()).collect();
                let titles = Row { cells: titles, whole: Value::Null };
                let mut table = Vec::new();
                for row in std::iter::once(&titles).chain(rows) {
                    table.push(columns.iter().map(|column| render(column, row)).collect::<Result<Vec<_>>>()?);
                }
                text = super::columns(&table);
            }
        }
        Ok(text)
    }
}

/// Prints names alone.
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    names.into_iter().try_for_each(line)
}

fn render(pieces: &[Piece], row: &Row) -> Result<String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(words) => text.push_str(words),
            Piece::Field(field) => text.push_str(&row.cells[*field]),
            Piece::Whole => text.push_str(&serde_json::to_string(&row.whole)?),
        }
    }
    Ok(text)
}

/// Replaces `\t` and `\n`, which a shell leaves as they are.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing() -> Listing {
        Listing {
            fields: &[("ID", "THING ID"), ("Name", "NAME"), ("Size", "SIZE")],
            columns: vec!["ID", "Name"],
        }
    }

    fn printed(format: Format, wanted: Option<&str>) -> Result<String> {
        let row = |id: &str, name: &str| Row {
            cells: vec![id.to_owned(), name.to_owned(), "1B".to_owned()],
            whole: json!({"id": id}),
        };
        listing().printer(format, wanted)?.text(&[row("1", "one"), row("2", "two words")])
    }

    #[test]
    fn lists_in_every_form() {
        let rows = [
            (Format::Table, None, "THING ID   NAME\n1          one\n2          two words\n"),
            (Format::Json, None, "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"),
            (Format::Table, Some("json"), "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"),
            (Format::Table, Some(r"{{.Name}}\t<{{ .Size }}>"), "one\t<1B>\ntwo words\t<1B>\n"),
            (Format::Table, Some(r"table {{.Size}}\t{{.ID}}"), "SIZE   THING ID\n1B     1\n1B     2\n"),
            (Format::Table, Some("{{json .}}"), "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"),
        ];
        for (format, wanted, text) in rows {
            assert_eq!(printed(format, wanted).expect("printed"), text, "{wanted:?}");
        }
    }

    #[test]
    fn what_is_no_field_is_refused_with_those_that_are() {
        let refused = |wanted| printed(Format::Table, Some(wanted)).expect_err(wanted).to_string();
        assert_eq!(refused("{{.Colour}}"), "--format: there is no field .Colour, but ID, Name, Size");
        assert!(refused("{{range .}}").contains("{{range .}} is none of what there is"));
        assert!(refused("{{.ID").contains("{{ without }}"));
        assert!(printed(Format::Json, Some("{{.ID}}")).is_err());
    }
}
