//! TOML into a tree of settings, from the spanned document of the `toml` crate.

use std::borrow::Cow;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SyntaxError;
use super::tree::{Key, Node, Place, Scalar, ScalarKind, Table, Value};

/// Reads one document.
pub(crate) fn parse(text: &str, path: &Arc<str>) -> Result<Table, SyntaxError> {
    let lines = Lines { text, path };
    let document = DeTable::parse(text).map_err(|error| SyntaxError {
        place: lines.place(error.span().map_or(0, |span| span.start)),
        message: format!("this is no TOML: {}", error.message()),
    })?;
    Ok(lines.table(document.into_inner()))
}

struct Lines<'t> {
    text: &'t str,
    path: &'t Arc<str>,
}

impl Lines<'_> {
    fn table(&self, table: DeTable<'_>) -> Table {
        let entry = |(key, value): (Spanned<Cow<'_, str>>, Spanned<DeValue<'_>>)| {
            let place = self.place(key.span().start);
            let key = Key { name: key.into_inner().to_string(), place: place.clone() };
            (key, self.node(value, place))
        };
        Table { entries: table.into_iter().map(entry).collect() }
    }

    /// A value stands where its key stands: a table's own span says less, as its keys may be scattered over the file.
    fn node(&self, value: Spanned<DeValue<'_>>, place: Place) -> Node {
        let scalar = |text: String, kind| Value::Scalar(Scalar { text, kind });
        let value = match value.into_inner() {
            DeValue::String(text) => scalar(text.into_owned(), ScalarKind::Text),
            DeValue::Integer(number) => {
                // Radix and underscores are TOML's; the tree holds decimal digits.
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                let text = decimal.map_or_else(|_| number.as_str().to_owned(), |number| number.to_string());
                scalar(text, ScalarKind::Integer)
            }
            DeValue::Float(number) => scalar(number.as_str().to_owned(), ScalarKind::Float),
            DeValue::Boolean(truth) => scalar(truth.to_string(), ScalarKind::Bool),
            // `start_from` is the one setting that takes a time, and it reads text.
            DeValue::Datetime(time) => scalar(time.to_string(), ScalarKind::Text),
            DeValue::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| {
                        let place = self.place(item.span().start);
                        self.node(item, place)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { place, value }
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Place::File { path: Arc::clone(self.path), line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_line_of_every_key() {
        let text = "a = 0x1f\n[b]\nc = 'x'\nd = [1, 2]\n[b.e]\nf = 2026-02-10T12:00:00Z\n";
        let table = parse(text, &Arc::from("e.toml")).unwrap();
        let mut lines: Vec<_> =
            table.leaves().iter().map(|(path, node)| format!("{path}@{}", node.place)).collect();
        lines.sort();
        assert_eq!(lines, ["a@e.toml:1", "b.c@e.toml:3", "b.d@e.toml:4", "b.e.f@e.toml:6"]);
        assert!(matches!(&table.get("a").unwrap().value, Value::Scalar(scalar) if scalar.text == "31"));
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let error = parse("a = 1\nb = \n", &Arc::from("e.toml")).expect_err("no value");
        assert_eq!(error.place, Place::File { path: Arc::from("e.toml"), line: 2 });
        let error = parse("a = 1\na = 2\n", &Arc::from("e.toml")).expect_err("given twice");
        assert_eq!(error.place, Place::File { path: Arc::from("e.toml"), line: 2 });
    }
}
