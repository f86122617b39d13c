//! Attribute values in JSON, and the attributes an event of the default encoding carries besides.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::AttributeValue;
use crate::attributes::Attributes;
use crate::wire::lenient::Text;
use crate::wire::limits::MAX_FIELDS;
use crate::wire::text::{write_json, write_key};

/// A member that should be an attribute.
pub(in crate::wire) enum Member {
    Value(AttributeValue),
    /// As good as absent.
    Null,
    /// What JSON has and the type system has not.
    Wrong(&'static str),
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a truth value")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Member, E> {
        Ok(Member::Value(truth.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Member, E> {
        let number = i32::try_from(number);
        Ok(number
            .map_or(Member::Wrong("a number of more than 32 bits"), |number| Member::Value(number.into())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Member, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Wrong("a number that is not whole"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Value(text.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Wrong("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Wrong("an object"))
    }
}

/// Appends a value in the type JSON has for it.
pub(super) fn append_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::Boolean(truth) => write_json(out, truth),
        AttributeValue::Integer(number) => write_json(out, number),
        AttributeValue::Text(text) => write_json(out, text),
    }
}

/// Appends the attributes that have a field of their own, each with a comma before it.
pub(super) fn append_known(out: &mut Vec<u8>, attributes: &Attributes) {
    let known = [
        ("datacontenttype", &attributes.data_content_type),
        ("dataschema", &attributes.data_schema),
        ("subject", &attributes.subject),
    ];
    for (name, text) in known {
        if let Some(text) = text {
            write_key(out, name);
            write_json(out, text);
        }
    }
}

/// Appends an object of all the attributes.
pub(in crate::wire) fn append_besides(out: &mut Vec<u8>, attributes: &Attributes) {
    let start = out.len();
    append_known(out, attributes);
    for (name, value) in &attributes.extensions {
        out.push(b',');
        write_json(out, name);
        out.push(b':');
        append_value(out, value);
    }
    // Every member came with a comma before it.
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

/// The object [`append_besides`] writes. Another's member of that name must not make an event unreadable, so what is
/// no attribute is passed over.
#[derive(Default)]
pub(in crate::wire) struct Besides(pub(in crate::wire) Attributes);

impl<'de> Deserialize<'de> for Besides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BesidesVisitor)
    }
}

struct BesidesVisitor;

impl<'de> Visitor<'de> for BesidesVisitor {
    type Value = Besides;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Besides, A::Error> {
        let mut besides = Attributes::default();
        while let Some(Text(name)) = map.next_key()? {
            let Member::Value(value) = map.next_value()? else { continue };
            match (&*name, value) {
                ("subject", AttributeValue::Text(text)) => besides.subject = Some(text.into()),
                ("dataschema", AttributeValue::Text(text)) => besides.data_schema = Some(text.into()),
                ("datacontenttype", AttributeValue::Text(text)) => {
                    besides.data_content_type = Some(text.into());
                }
                (_, value) if besides.extensions.len() < MAX_FIELDS => {
                    besides.extensions.insert(name.into(), value);
                }
                _ => {}
            }
        }
        Ok(Besides(besides))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Besides, E> {
        Ok(Besides::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Besides, E> {
        Ok(Besides::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Besides, E> {
        Ok(Besides::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Besides, E> {
        Ok(Besides::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Besides, E> {
        Ok(Besides::default())
    }

    fn visit_unit<E: Error>(self) -> Result<Besides, E> {
        Ok(Besides::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Besides, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Besides::default())
    }
}
