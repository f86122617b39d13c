//! Times and ages of a run, replaced by others of the same width: what is drawn is the same every time.

use std::collections::BTreeSet;

/// What stands for the first time of a run; those after it follow by the second.
const TIME: &str = "2026-02-10T12:00:00.141592Z";

/// Where the seconds stand in it.
const SECONDS: std::ops::Range<usize> = 17..19;

/// What stands for an age.
const AGE: &str = "2s";

/// Lines with their times and ages replaced.
pub(super) fn steady(lines: &[String]) -> Vec<String> {
    let times: BTreeSet<&str> = lines.iter().flat_map(|line| times(line)).map(|(_, time)| time).collect();
    lines.iter().map(|line| ages(&with_steady_times(line, &times))).collect()
}

/// The times in a line, to the microsecond, and where they stand.
fn times(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let time = |at| line.get(at..at + TIME.len()).filter(|text| is_time(text));
    (0..line.len()).filter_map(move |at| Some((at, time(at)?)))
}

fn is_time(text: &str) -> bool {
    text.bytes().zip(TIME.bytes()).all(|(byte, model)| match model {
        b'0'..=b'9' => byte.is_ascii_digit(),
        mark => byte == mark,
    })
}

/// A line whose times say only which came first.
fn with_steady_times(line: &str, all: &BTreeSet<&str>) -> String {
    let mut out = line.to_owned();
    for (at, time) in times(line) {
        let mut stand_in = TIME.to_owned();
        let rank = all.iter().position(|other| *other == time).unwrap_or_default();
        stand_in.replace_range(SECONDS, &format!("{rank:02}"));
        out.replace_range(at..at + TIME.len(), &stand_in);
    }
    out
}

/// Ages, which end at the right of their column: the space before one takes up the difference.
fn ages(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_inclusive(' ') {
        let (age, space) = word.strip_suffix(' ').map_or((word, ""), |age| (age, " "));
        let number = age.strip_suffix("ms").or_else(|| age.strip_suffix('s')).unwrap_or_default();
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            out += &" ".repeat(age.len() - AGE.len());
            out += AGE;
        } else {
            out += age;
        }
        out += space;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> String {
        steady(&[line.to_owned()]).concat()
    }

    #[test]
    fn times_say_which_came_first_and_no_more() {
        let lines =
            ["b 2027-11-28T19:52:03.757020Z:", "2027-11-28T19:52:01.000000Z é 2027-11-28T19:52:03.757020Z"];
        assert_eq!(
            steady(&lines.map(str::to_owned)),
            ["b 2026-02-10T12:00:01.141592Z:", "2026-02-10T12:00:00.141592Z é 2026-02-10T12:00:01.141592Z"]
        );
        for kept in ["2026-02-10T11:59:58Z x", "2027-11-28", "2027-11-28T19:52:03Z é", ""] {
            assert_eq!(one(kept), kept);
        }
    }

    #[test]
    fn an_age_becomes_another_in_the_same_place() {
        assert_eq!(one("mirror      3  12s"), "mirror      3   2s");
        assert_eq!(one("  999ms  a.b"), "     2s  a.b");
        assert_eq!(one("       9s"), "       2s");
        for kept in ["s", "ms", "events", "12 s", "a3s", "-"] {
            assert_eq!(one(kept), kept);
        }
    }
}
