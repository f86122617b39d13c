//! `EntryId`: the position of an entry in its stream.

use std::fmt;
use std::str::FromStr;

use events_core::{Error, ErrorKind, MessageId, StartFrom};
use time::OffsetDateTime;

/// An entry's id: milliseconds since 1970 when it was added, and a number within the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId {
    milliseconds: u64,
    sequence: u64,
}

impl EntryId {
    /// Before every entry.
    pub(crate) const ZERO: Self = Self { milliseconds: 0, sequence: 0 };

    /// After every entry; the server refuses to look beyond it.
    pub(crate) const LAST: Self = Self { milliseconds: u64::MAX, sequence: u64::MAX };

    /// The smallest id of a moment.
    pub(crate) fn at(time: OffsetDateTime) -> Self {
        let nanoseconds = time.unix_timestamp_nanos().max(0);
        // The first whole millisecond that is not before `time`.
        let milliseconds = u64::try_from((nanoseconds + 999_999) / 1_000_000).unwrap_or(u64::MAX);
        Self { milliseconds, sequence: 0 }
    }

    /// The id next before this one; zero stays zero.
    pub(crate) fn before(self) -> Self {
        match (self.milliseconds, self.sequence) {
            (0, 0) => Self::ZERO,
            (milliseconds, 0) => Self { milliseconds: milliseconds - 1, sequence: u64::MAX },
            (milliseconds, sequence) => Self { milliseconds, sequence: sequence - 1 },
        }
    }

    /// The id so many numbers further in the same millisecond.
    pub(crate) fn following(self, number: usize) -> Option<Self> {
        let sequence = self.sequence.checked_add(u64::try_from(number).ok()?)?;
        Some(Self { sequence, ..self })
    }

    /// When the server accepted the entry. Ids that were chosen by hand may name no moment.
    pub(crate) fn time(self) -> Option<OffsetDateTime> {
        let seconds = i64::try_from(self.milliseconds / 1_000).ok()?;
        let milliseconds = u16::try_from(self.milliseconds % 1_000).ok()?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()?.replace_millisecond(milliseconds).ok()
    }

    pub(crate) fn to_message_id(self) -> MessageId {
        // Every event gets one, so the digits are written here, several times faster than by the formatting machinery.
        let mut text = [0; 41];
        let mut at = write_digits(&mut text, 41, self.sequence) - 1;
        text[at] = b'-';
        at = write_digits(&mut text, at, self.milliseconds);
        MessageId::new(String::from_utf8_lossy(&text[at..]))
    }
}

/// The number that digits and nothing else spell.
fn digits(text: &str) -> Option<u64> {
    let add = |number: u64, byte: u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if text.is_empty() { None } else { text.bytes().try_fold(0, add) }
}

/// Writes a number so that it ends before `end`, and returns where it begins.
fn write_digits(text: &mut [u8], end: usize, mut number: u64) -> usize {
    let mut at = end;
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return at;
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

impl FromStr for EntryId {
    type Err = Error;

    /// Reads `<milliseconds>-<sequence>`; without a sequence it is 0, as the server takes it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (milliseconds, sequence) = text.split_once('-').unwrap_or((text, "0"));
        match (digits(milliseconds), digits(sequence)) {
            (Some(milliseconds), Some(sequence)) => Ok(Self { milliseconds, sequence }),
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                "redis stream id",
                format!(
                    "{text:?} is neither an id such as 1770724800000-0 nor a time such as 2026-02-10T12:00:00Z"
                ),
            )),
        }
    }
}

impl TryFrom<&MessageId> for EntryId {
    type Error = Error;

    fn try_from(id: &MessageId) -> Result<Self, Error> {
        id.as_str().parse()
    }
}

/// The id after which to start, or `None` for after everything there is.
///
/// # Errors
///
/// [`InvalidConfig`](ErrorKind::InvalidConfig) for an id no stream gave.
pub(crate) fn start_after(start: &StartFrom) -> Result<Option<EntryId>, Error> {
    match start {
        StartFrom::Earliest => Ok(Some(EntryId::ZERO)),
        StartFrom::Latest => Ok(None),
        StartFrom::After(id) => EntryId::try_from(id).map(Some),
        StartFrom::Time(time) => Ok(Some(EntryId::at(*time).before())),
        _ => Err(Error::unsupported("redis start position")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn ids_are_read_as_the_server_reads_them() {
        for (text, id) in [("5-7", (5, 7)), ("5", (5, 0)), ("18446744073709551615-0", (u64::MAX, 0))] {
            let id = EntryId { milliseconds: id.0, sequence: id.1 };
            assert_eq!(text.parse::<EntryId>().unwrap(), id);
        }
        for text in ["", "-", "5-", "-5", "+5-1", "5-7-9", "$", "18446744073709551616-0"] {
            assert!(text.parse::<EntryId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_message_id_is_spelled_as_the_server_spells_it() {
        for (milliseconds, sequence) in [(0, 0), (1_770_724_800_123, 10), (u64::MAX, u64::MAX)] {
            let id = EntryId { milliseconds, sequence };
            assert_eq!(id.to_message_id().as_str(), id.to_string());
        }
    }

    #[test]
    fn the_time_of_an_id_is_exact_to_the_millisecond() {
        let id = EntryId { milliseconds: 1_770_724_800_123, sequence: 7 };
        assert_eq!(id.time(), Some(datetime!(2026-02-10 12:00:00.123 UTC)));
        assert_eq!(EntryId { milliseconds: u64::MAX, sequence: 0 }.time(), None);
    }

    #[test]
    fn a_start_by_time_includes_the_moment_itself() {
        let start = start_after(&StartFrom::Time(datetime!(1970-01-01 00:00:05 UTC))).unwrap();
        assert_eq!(start.unwrap().to_string(), "4999-18446744073709551615");
        let fraction = start_after(&StartFrom::Time(datetime!(1970-01-01 00:00:04.9991 UTC))).unwrap();
        assert_eq!(fraction, start);
    }

    #[test]
    fn ids_are_ordered_by_number() {
        let ids = ["9-9", "10-1", "10-2", "10-10"].map(|id| id.parse::<EntryId>().unwrap());
        assert!(ids.is_sorted());
        assert_eq!(ids[1].before().to_string(), "10-0");
        assert_eq!(EntryId::ZERO.before(), EntryId::ZERO);
    }
}
