//! The JSON envelope of FastStream before 0.7: an object with the data as a string, and the headers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Encoded, cannot_carry, parts};
use crate::wire::decoder::invalid_json;
use crate::wire::limits::MAX_FIELDS;
use crate::wire::text::{plain, write_json};
use crate::{Event, Headers, Result};

pub(in crate::wire) fn encode(event: &Event) -> Result<Encoded<'static>> {
    let (data, headers) = parts(event)?;
    let Ok(data) = std::str::from_utf8(&data) else { return Err(cannot_carry("a body that is not UTF-8")) };
    let mut out = Vec::with_capacity(64 + data.len() + data.len() / 4);
    out.extend_from_slice(b"{\"data\":");
    write_json(&mut out, data);
    out.extend_from_slice(b",\"headers\":");
    let start = out.len();
    for (name, value) in headers {
        out.push(b',');
        write_json(&mut out, name);
        out.push(b':');
        write_json(&mut out, value);
    }
    // Every header came with a comma before it, and the media type is always there.
    if let Some(comma) = out.get_mut(start) {
        *comma = b'{';
    }
    out.extend_from_slice(b"}}");
    Ok(Encoded::for_faststream(out))
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(default)]
    headers: Option<HeaderMap>,
}

pub(super) fn decode(message: &[u8]) -> Result<(Headers, Cow<'_, str>)> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(message).map_err(|error| invalid_json("envelope", error))?;
    Ok((envelope.headers.map(|headers| headers.0).unwrap_or_default(), envelope.data))
}

/// Headers, of which FastStream lets values be any JSON.
struct HeaderMap(Headers);

impl<'de> Deserialize<'de> for HeaderMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = HeaderMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<HeaderMap, A::Error> {
        let mut headers = Headers::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if headers.len() == MAX_FIELDS {
                return Err(A::Error::custom(format_args!("more than {MAX_FIELDS} headers")));
            }
            headers.insert(name, plain(value));
        }
        Ok(HeaderMap(headers))
    }
}
