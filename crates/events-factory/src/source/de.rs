//! Reads typed settings out of the tree, so that every error names the key and its place.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::problem::Problem;
use super::tree::{Key, Node, Scalar, ScalarKind, Table, Value};

/// Reads the settings as a `T`.
pub(crate) fn deserialize<T: DeserializeOwned>(settings: Table) -> events_core::Result<T> {
    T::deserialize(Section(settings)).map_err(Problem::into_error)
}

/// A table on its way into a struct or a map.
struct Section(Table);

impl<'de> de::Deserializer<'de> for Section {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_map(Entries { rest: self.0.entries.into_iter(), current: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Entries {
    rest: std::vec::IntoIter<(Key, Node)>,
    current: Option<(Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, node)) = self.rest.next() else { return Ok(None) };
        let name: StrDeserializer<'_, Problem> = key.name.as_str().into_deserializer();
        let read = seed.deserialize(name).map_err(|problem| problem.at(&key.place))?;
        self.current = Some((key, node));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (key, node) = self.current.take().ok_or_else(|| de::Error::custom("a value without its key"))?;
        seed.deserialize(node).map_err(|problem| problem.within(&key.name).at(&key.place))
    }
}

struct Items(std::vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.0.next() else { return Ok(None) };
        let place = node.place.clone();
        seed.deserialize(node).map(Some).map_err(|problem| problem.at(&place))
    }
}

impl Scalar {
    /// The text, where the scalar may be read as a number or truth value of `kind`.
    fn text_for(&self, kind: ScalarKind) -> Option<&str> {
        (self.kind == kind || self.kind == ScalarKind::Plain).then_some(&self.text)
    }

    fn truth(&self) -> Option<bool> {
        // Python programs write their own spelling into the environment.
        match self.text_for(ScalarKind::Bool)? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    fn visit_any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if let Some(truth) = self.truth() {
            return visitor.visit_bool(truth);
        }
        if let Some(number) = self.text_for(ScalarKind::Integer) {
            if let Ok(number) = number.parse() {
                return visitor.visit_u64(number);
            }
            if let Ok(number) = number.parse() {
                return visitor.visit_i64(number);
            }
        }
        if let Some(Ok(number)) = self.text_for(ScalarKind::Float).map(str::parse) {
            return visitor.visit_f64(number);
        }
        visitor.visit_string(self.text)
    }
}

/// Reads a number as the setting's own type asks, whatever the width.
macro_rules! number {
    ($($method:ident $visit:ident $number:ty, $kind:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match &self.value {
                Value::Scalar(scalar) => match scalar.text_for(ScalarKind::$kind).map(str::parse::<$number>) {
                    Some(Ok(number)) => visitor.$visit(number),
                    _ => Err(self.wrong(&visitor)),
                },
                _ => Err(self.wrong(&visitor)),
            }
        }
    )*};
}

impl Node {
    fn wrong(&self, expected: &dyn de::Expected) -> Problem {
        Problem::new(format!("expected {expected}, found {}", self.value.describe()))
    }
}

impl<'de> de::Deserializer<'de> for Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(scalar) => scalar.visit_any(visitor),
            Value::List(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Table(table) => Section(table).deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.truth() {
                Some(truth) => visitor.visit_bool(truth),
                None => Err(Problem::new("expected `true` or `false`".to_owned())),
            },
            _ => Err(self.wrong(&visitor)),
        }
    }

    number! {
        deserialize_i8 visit_i64 i64, Integer;
        deserialize_i16 visit_i64 i64, Integer;
        deserialize_i32 visit_i64 i64, Integer;
        deserialize_i64 visit_i64 i64, Integer;
        deserialize_u8 visit_u64 u64, Integer;
        deserialize_u16 visit_u64 u64, Integer;
        deserialize_u32 visit_u64 u64, Integer;
        deserialize_u64 visit_u64 u64, Integer;
        deserialize_f32 visit_f64 f64, Float;
        deserialize_f64 visit_f64 f64, Float;
    }

    /// Any text a setting that is text takes as it is spelled, but a number or truth value of TOML is none.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Scalar(Scalar { text, kind: ScalarKind::Plain | ScalarKind::Text }) => {
                visitor.visit_string(text)
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    /// A section that is there but empty has all its defaults.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value {
            Value::Null => Section(Table::default()).deserialize_any(visitor),
            Value::Table(table) => {
                Section(table).deserialize_any(visitor).map_err(|problem| problem.at(&self.place))
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    /// Only choices that are a word.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match &self.value {
            Value::Scalar(Scalar { text, kind: ScalarKind::Plain | ScalarKind::Text }) => {
                visitor.visit_enum(text.as_str().into_deserializer())
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}
