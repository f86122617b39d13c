//! Settings as a tree whose every key and value knows where it was written, whatever the syntax was.

use std::fmt;
use std::sync::Arc;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line of a file, from 1.
    File {
        /// The file as the user named it.
        path: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What every syntax can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, in the words of an error message; never the value itself, which may be a secret.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(scalar) => match scalar.kind {
                ScalarKind::Plain | ScalarKind::Text => "text",
                ScalarKind::Bool => "a truth value",
                ScalarKind::Integer => "a whole number",
                ScalarKind::Float => "a number",
            },
            Self::List(_) => "a list",
            Self::Table(_) => "a section of keys",
        }
    }
}

/// One value as it was spelled.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: ScalarKind,
}

/// What the syntax says of a scalar's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    /// Unquoted YAML, the environment, flags: the setting's own type decides how to read it.
    Plain,
    Text,
    Bool,
    Integer,
    Float,
}

/// Keys in the order they were written, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<(Key, Node)>,
}

/// A key and where it stands, which differs from where its value begins.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl Table {
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(key, _)| key.name == name)?;
        Some(self.entries.remove(at).1)
    }

    /// Adds a key; where it exists already, its place is the error.
    pub(crate) fn insert_new(&mut self, key: Key, node: Node) -> Result<(), Place> {
        match self.entries.iter().find(|(other, _)| other.name == key.name) {
            Some((other, _)) => Err(other.place.clone()),
            None => {
                self.entries.push((key, node));
                Ok(())
            }
        }
    }

    /// Sets the key at `path`, making the sections on the way; a later layer of settings replaces an earlier one,
    /// and so does a secret the file that holds it (`url` and `url_file`), either way round.
    ///
    /// The error is the place of a value that stands where a section is needed.
    pub(crate) fn overlay(&mut self, path: &[&str], text: &str, place: &Place) -> Result<(), Place> {
        let Some((name, rest)) = path.split_first() else { return Ok(()) };
        let key = || Key { name: (*name).to_owned(), place: place.clone() };
        if rest.is_empty() {
            let scalar = Scalar { text: text.to_owned(), kind: ScalarKind::Plain };
            self.remove(name);
            self.remove(&name.strip_suffix("_file").map_or_else(|| format!("{name}_file"), str::to_owned));
            self.entries.push((key(), Node { place: place.clone(), value: Value::Scalar(scalar) }));
            return Ok(());
        }
        if self.get(name).is_none_or(|node| matches!(node.value, Value::Null)) {
            self.remove(name);
            let section = Node { place: place.clone(), value: Value::Table(Self::default()) };
            self.entries.push((key(), section));
        }
        match self.get_mut(name) {
            Some(Node { value: Value::Table(section), .. }) => section.overlay(rest, text, place),
            Some(other) => Err(other.place.clone()),
            None => Ok(()),
        }
    }

    /// Every value with its dotted path, in the order they were written.
    pub(crate) fn leaves(&self) -> Vec<(String, &Node)> {
        let mut leaves = Vec::new();
        for (key, node) in &self.entries {
            match &node.value {
                Value::Table(section) => leaves.extend(
                    section.leaves().into_iter().map(|(path, leaf)| (format!("{}.{path}", key.name), leaf)),
                ),
                _ => leaves.push((key.name.clone(), node)),
            }
        }
        leaves
    }
}
