//! The demo's events: what an API of the platform publishes after it has done something.

use serde_json::{Value, json};

/// One event as a line of JSON for `events publish`.
pub(super) fn line(number: usize) -> String {
    let (event_type, mut payload) = match number % 3 {
        0 => (
            "slack-usergroups.update_users",
            json!({"workspace": "coreos", "usergroup": "team-a", "users": ["alice", "bob"]}),
        ),
        1 => ("github-org.add_member", json!({"org": "example", "team": "maintainers", "user": "carol"})),
        _ => (
            "ocp-namespaces.delete_resource",
            json!({"cluster": "prod-1", "namespace": "web", "kind": "Secret"}),
        ),
    };
    payload["request"] = Value::from(number);
    json!({"event_type": event_type, "source": "qontract-api", "payload": payload}).to_string()
}

/// Which event a printed line shows.
pub(super) fn number(line: &str) -> Option<usize> {
    let (_, after) = line.rsplit_once("\"request\":")?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_its_number() {
        assert_eq!(number(&line(117)), Some(117));
        assert_eq!(number("2026-01-01T00:00:00Z type=a.b source=s payload={\"request\":5}"), Some(5));
        assert_eq!(number("payload={}"), None);
    }
}
