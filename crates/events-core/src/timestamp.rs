//! Timestamps as the wire spells them: written like the Python services do, read as leniently as they read.

use serde::de::{Unexpected, Visitor};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// Beyond this many seconds (the year 2603) a number is taken as milliseconds, as pydantic takes it.
const SECONDS_WATERSHED: f64 = 2e10;

/// Appends `timestamp` in RFC 3339 with a `Z`: no fraction for a whole second, else six digits, or nine where
/// nanoseconds were received, so that nothing is rounded away.
pub(crate) fn write(out: &mut Vec<u8>, timestamp: OffsetDateTime) {
    let timestamp = timestamp.to_offset(UtcOffset::UTC);
    let (year, month, day) = timestamp.to_calendar_date();
    let (hour, minute, second, nanosecond) = timestamp.to_hms_nano();
    // One piece of fixed size, appended at once.
    let mut text = *b"0000-00-00T00:00:00.000000000";
    digits(&mut text[..4], year.unsigned_abs());
    digits(&mut text[5..7], u32::from(u8::from(month)));
    digits(&mut text[8..10], u32::from(day));
    digits(&mut text[11..13], u32::from(hour));
    digits(&mut text[14..16], u32::from(minute));
    digits(&mut text[17..19], u32::from(second));
    let length = if nanosecond == 0 {
        19
    } else if nanosecond % 1_000 == 0 {
        digits(&mut text[20..26], nanosecond / 1_000);
        26
    } else {
        digits(&mut text[20..], nanosecond);
        29
    };
    out.extend_from_slice(&text[..length]);
    out.push(b'Z');
}

fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Reads what the Python services accept: RFC 3339, a space for the `T`, no offset (taken as UTC), no seconds,
/// a bare date, or seconds or milliseconds since 1970 as text.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    if let Some(usual) = parse_usual(text) {
        return Some(usual);
    }
    let text = text.trim();
    let parsed = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(|| parse_with_separator(text))
        .or_else(|| text.parse().ok().and_then(from_number))?;
    in_utc(parsed)
}

/// Reads `2026-02-10T12:00:00.123456Z`, with or without a fraction of up to nine digits: what nearly every producer writes,
/// several times faster than the general way, to which everything else is left.
fn parse_usual(text: &str) -> Option<OffsetDateTime> {
    let (whole, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let shape =
        |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    if !whole.iter().zip(b"0000-00-00T00:00:00").all(shape) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let nanosecond = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z']
            if matches!(digits.len(), 1..=9) && digits.iter().all(u8::is_ascii_digit) =>
        {
            number(digits) * 10_u32.pow(9 - digits.len() as u32)
        }
        _ => return None,
    };
    let small = |range: std::ops::Range<usize>| u8::try_from(number(&whole[range])).ok();
    let month = Month::try_from(small(5..7)?).ok()?;
    let date =
        Date::from_calendar_date(i32::try_from(number(&whole[..4])).ok()?, month, small(8..10)?).ok()?;
    let time = Time::from_hms_nano(small(11..13)?, small(14..16)?, small(17..19)?, nanosecond).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}

fn parse_with_separator(text: &str) -> Option<OffsetDateTime> {
    let date_format = format_description!("[year]-[month]-[day]");
    let date_and_time = format_description!(
        version = 2,
        "[year]-[month]-[day][first [T][t][ ][_]][hour]:[minute][optional [:[second][optional [.[subsecond]]]]]"
    );
    let offset = format_description!(
        version = 2,
        "[first [[offset_hour sign:mandatory]:[offset_minute]][[offset_hour sign:mandatory][offset_minute]]]"
    );
    if let Ok(date) = Date::parse(text, date_format) {
        return Some(date.midnight().assume_utc());
    }
    // The offset is cut off first: `time` has no optional component that could hold the whole of it.
    let cut =
        text.char_indices().skip(11).find(|(_, c)| matches!(c, 'Z' | 'z' | '+' | '-')).map(|(at, _)| at);
    let (local, zone) = text.split_at(cut.unwrap_or(text.len()));
    let local = PrimitiveDateTime::parse(local, date_and_time).ok()?;
    match zone {
        "" | "Z" | "z" => Some(local.assume_utc()),
        zone => Some(local.assume_offset(UtcOffset::parse(zone, offset).ok()?)),
    }
}

/// Seconds since 1970, or milliseconds past the watershed.
fn from_number(number: f64) -> Option<OffsetDateTime> {
    let seconds = if number.abs() > SECONDS_WATERSHED { number / 1_000.0 } else { number };
    // Microseconds are what a double of this size still resolves.
    let microseconds = (seconds * 1e6).round();
    if !microseconds.is_finite() {
        return None;
    }
    let nanoseconds = (microseconds as i128).checked_mul(1_000)?;
    in_utc(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?)
}

pub(crate) fn in_utc(timestamp: OffsetDateTime) -> Option<OffsetDateTime> {
    timestamp.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()))
}

/// Deserialises a timestamp from a JSON string or number.
pub(crate) struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = OffsetDateTime;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a timestamp as RFC 3339 text or as seconds since 1970")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OffsetDateTime, E> {
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<OffsetDateTime, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<OffsetDateTime, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<OffsetDateTime, E> {
        from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn written(timestamp: OffsetDateTime) -> String {
        let mut out = Vec::new();
        write(&mut out, timestamp);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_as_python_does() {
        for (timestamp, text) in [
            (datetime!(2026-02-10 12:00:00.123456 UTC), "2026-02-10T12:00:00.123456Z"),
            (datetime!(2026-02-10 12:00:00 UTC), "2026-02-10T12:00:00Z"),
            (datetime!(2026-02-10 12:00:00.12 UTC), "2026-02-10T12:00:00.120000Z"),
            (datetime!(0000-01-01 00:00:00.000000001 UTC), "0000-01-01T00:00:00.000000001Z"),
            (datetime!(2026-02-10 17:30:00 +05:30), "2026-02-10T12:00:00Z"),
        ] {
            assert_eq!(written(timestamp), text);
        }
    }

    #[test]
    fn reads_every_spelling_python_accepts() {
        let noon = datetime!(2026-02-10 12:00:00 UTC);
        for text in [
            "2026-02-10T12:00:00Z",
            "2026-02-10t12:00:00z",
            "2026-02-10 12:00:00",
            "2026-02-10_12:00:00",
            "2026-02-10T12:00",
            "2026-02-10T12:00Z",
            "2026-02-10T13:00:00+0100",
            "2026-02-10T04:00:00.000-08:00",
            "1770724800",
            "1770724800.0",
            "1770724800000",
            " 2026-02-10T12:00:00Z ",
        ] {
            assert_eq!(parse(text), Some(noon), "{text}");
        }
        assert_eq!(parse("2026-02-10"), Some(datetime!(2026-02-10 00:00 UTC)));
        assert_eq!(parse("2026-02-10 12:00:00.5+00:00"), Some(datetime!(2026-02-10 12:00:00.5 UTC)));
        for bad in [
            "",
            "yesterday",
            "2026-02-30T00:00:00Z",
            "2026-02-10T25:00:00Z",
            "NaN",
            "inf",
            "2026-02-10T12:00:00+1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back_to_the_nanosecond(
            nanos in -62_135_596_800_000_000_000i128..253_402_300_799_000_000_000i128
        ) {
            let timestamp = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            prop_assert_eq!(parse(&written(timestamp)), Some(timestamp));
        }

        #[test]
        fn the_fast_way_says_what_the_general_way_says(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?Z?"
        ) {
            if let Some(fast) = parse_usual(&text) {
                prop_assert_eq!(OffsetDateTime::parse(&text, &Rfc3339).ok(), Some(fast));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
