//! YAML into a tree of settings.
//!
//! Built on the events of `saphyr-parser`, a live YAML 1.2 parser (`serde_yaml` has no maintainer any more).
//! Going through serde instead would lose what this needs: the line of every key, the difference between plain and quoted
//! scalars, and keys given twice.

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::SyntaxError;
use super::tree::{Key, Node, Place, Scalar, ScalarKind, Table, Value};

/// Sections within sections; far beyond what settings need, and well before the stack ends.
const MAX_DEPTH: usize = 32;

/// Reads one document. An empty one is an empty table.
pub(crate) fn parse(text: &str, path: &Arc<str>) -> Result<Table, SyntaxError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), path };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(reader.error(span, "a second document; settings are one document"));
            }
            event => root = Some(reader.node(event, span, 0)?),
        }
    }
    match root {
        None | Some(Node { value: Value::Null, .. }) => Ok(Table::default()),
        Some(Node { value: Value::Table(table), .. }) => Ok(table),
        Some(node) => Err(SyntaxError { place: node.place, message: "expected keys and values".into() }),
    }
}

struct Reader<'t, 'p> {
    parser: Parser<'t, StrInput<'t>>,
    path: &'p Arc<str>,
}

impl<'t> Reader<'t, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(SyntaxError {
                place: self.place(error.marker().line()),
                message: format!("this is no YAML: {}", error.info()),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error(span, "nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, style, _, None) => scalar(text.into_owned(), style),
            Event::SequenceStart(_, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, None) => Value::Table(self.table(depth)?),
            Event::Alias(_) => return Err(self.error(span, "aliases (`*name`) are not supported")),
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(self.error(span, "tags (`!name`) are not supported"));
            }
            _ => return Err(self.error(span, "expected a value")),
        };
        Ok(Node { place: self.place(span.start.line()), value })
    }

    fn table(&mut self, depth: usize) -> Result<Table, SyntaxError> {
        let mut table = Table::default();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(table),
                Event::Scalar(name, _, _, None) => name.into_owned(),
                _ => return Err(self.error(span, "a key must be plain text")),
            };
            let key = Key { name, place: self.place(span.start.line()) };
            let (event, value_span) = self.next()?;
            let node = self.node(event, value_span, depth + 1)?;
            let name = key.name.clone();
            if let Err(first) = table.insert_new(key, node) {
                return Err(self.error(span, &format!("key `{name}` is already given at {first}")));
            }
        }
    }

    fn place(&self, line: usize) -> Place {
        Place::File { path: Arc::clone(self.path), line }
    }

    fn error(&self, span: Span, message: &str) -> SyntaxError {
        SyntaxError { place: self.place(span.start.line()), message: message.to_owned() }
    }
}

/// Plain scalars are typed by the setting they are for, so that `consumer_name: 007` keeps its zeros.
fn scalar(text: String, style: ScalarStyle) -> Value {
    match style {
        ScalarStyle::Plain if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        ScalarStyle::Plain => Value::Scalar(Scalar { text, kind: ScalarKind::Plain }),
        _ => Value::Scalar(Scalar { text, kind: ScalarKind::Text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, SyntaxError> {
        parse(text, &Arc::from("events.yaml"))
    }

    fn line_of_error(text: &str) -> usize {
        match read(text).expect_err(text).place {
            Place::File { line, .. } => line,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn keeps_the_line_of_every_key() {
        let table = read("# comment\na: 1\nb:\n  c: \"x\"\n  d: [1, 2]\n").unwrap();
        let lines: Vec<_> =
            table.leaves().iter().map(|(path, node)| format!("{path}@{}", node.place)).collect();
        assert_eq!(lines, ["a@events.yaml:2", "b.c@events.yaml:4", "b.d@events.yaml:5"]);
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for text in ["", "# only a comment\n", "---\n", "~\n"] {
            assert!(read(text).unwrap().entries.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        assert_eq!(line_of_error("a: 1\nb: [1\n"), 3);
        assert_eq!(line_of_error("a: 1\nb: 2\na: 3\n"), 3);
        assert_eq!(line_of_error("a: &x 1\nb: *x\n"), 2);
        assert_eq!(line_of_error("a: !!binary x\n"), 1);
        assert_eq!(line_of_error("a: 1\n---\nb: 1\n"), 3);
        assert_eq!(line_of_error("- a\n"), 1);
        assert_eq!(line_of_error("\n? [a]\n: b\n"), 2);
        assert!(read(&"[".repeat(100)).is_err());
    }
}
